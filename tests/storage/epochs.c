/* Leader epochs. */
#include "storage/epochs.h"

#include "tests/storage/support.h"

TestSuite(epochs, .init = test_setup, .fini = test_teardown);

Test(epochs, end_is_where_the_next_begins) {
        Epochs epochs = EPOCHS_INIT;
        cr_assert(epochs_begin(&epochs, 1, 0));
        cr_assert(epochs_begin(&epochs, 4, 100));
        cr_assert_not(epochs_begin(&epochs, 3, 200));
        int32_t epoch;
        int64_t end;
        epochs_end(&epochs, 1, 300, &epoch, &end);
        cr_assert(epoch == 1 && end == 100);
        epochs_end(&epochs, 3, 300, &epoch, &end);
        cr_assert(epoch == 1 && end == 100);
        epochs_end(&epochs, 4, 300, &epoch, &end);
        cr_assert(epoch == 4 && end == 300);
        epochs_end(&epochs, 5, 300, &epoch, &end);
        cr_assert(epoch == -1 && end == -1);
        epochs_end(&epochs, 0, 300, &epoch, &end);
        cr_assert(epoch == 0 && end == 0, "older than all that is left: it ended where they begin");
        epochs_end(&epochs, -1, 300, &epoch, &end);
        cr_assert(epoch == -1 && end == -1);
        epochs_deinit(&epochs);
}

Test(epochs, file_reads_back) {
        Epochs epochs = EPOCHS_INIT, back = EPOCHS_INIT;
        epochs_begin(&epochs, 0, 0);
        epochs_begin(&epochs, 7, 12345678901);
        assert_ok(epochs_write(&epochs, test_dir));
        assert_ok(epochs_read(&back, test_dir));
        cr_assert_eq(back.count, 2);
        cr_assert_eq(back.rows[1].start_offset, 12345678901);
        epochs_deinit(&epochs);
        epochs_deinit(&back);
}

Test(epochs, cutting_keeps_the_epoch_that_start_falls_into) {
        Epochs epochs = EPOCHS_INIT;
        epochs_begin(&epochs, 0, 0);
        epochs_begin(&epochs, 1, 10);
        epochs_begin(&epochs, 2, 20);
        cr_assert(epochs_cut_start(&epochs, 15));
        cr_assert_eq(epochs.count, 2);
        cr_assert_eq(epochs.rows[0].epoch, 1);
        cr_assert_eq(epochs.rows[0].start_offset, 15);
        cr_assert(epochs_cut_start(&epochs, 20));
        cr_assert_eq(epochs.count, 1);
        cr_assert(epochs_cut_end(&epochs, 20));
        cr_assert_eq(epochs_latest(&epochs), -1);
        epochs_deinit(&epochs);
}
