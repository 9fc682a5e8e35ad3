#include "storage/base/parallel.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdbool.h>

typedef struct Piece {
        pthread_t thread;
        int times;
} Piece;

static void work(void *data) {
        Piece *piece = data;
        piece->thread = pthread_self();
        piece->times++;
}

Test(parallel, pieces_are_done_once_each_when_it_returns) {
        for (int i = 1; i <= 100; i++) {
                Piece mine = { 0 }, other = { 0 };
                parallel_pair(work, &mine, &other);
                cr_assert(mine.times == 1 && other.times == 1);
                cr_assert(pthread_equal(mine.thread, pthread_self()));
        }
}
