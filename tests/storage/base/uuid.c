/* Ids: Kafka's text form. */
#include "storage/base/uuid.h"

#include <criterion/criterion.h>

Test(uuid, text_is_url_safe_base64_without_padding) {
        Uuid uuid = { { 0xfb, 0xff, 0xfe, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } };
        char text[UUID_TEXT_SIZE];
        cr_assert_str_eq(uuid_to_text(&uuid, text), "-__-AwQFBgcICQoLDA0ODw");
        cr_assert_str_eq(uuid_to_text(&UUID_ZERO, text), "AAAAAAAAAAAAAAAAAAAAAA");
}

Test(uuid, text_round_trips) {
        for (int i = 0; i < 1000; i++) {
                Uuid uuid = uuid_random(), again;
                char text[UUID_TEXT_SIZE];
                cr_assert(uuid_from_text(str_of(uuid_to_text(&uuid, text)), &again));
                cr_assert(uuid_equal(&uuid, &again));
        }
}

Test(uuid, random_ids_are_of_version_4_and_never_look_like_an_option) {
        for (int i = 0; i < 5000; i++) {
                Uuid uuid = uuid_random();
                char text[UUID_TEXT_SIZE];
                cr_assert_eq(uuid.bytes[6] >> 4, 4);
                cr_assert_eq(uuid.bytes[8] >> 6, 2);
                cr_assert_neq(uuid_to_text(&uuid, text)[0], '-');
        }
}

Test(uuid, other_text_is_refused) {
        Uuid uuid;
        cr_assert_not(uuid_from_text(STR(""), &uuid));
        cr_assert_not(uuid_from_text(STR_NULL, &uuid));
        cr_assert_not(uuid_from_text(STR("AAAAAAAAAAAAAAAAAAAAA"), &uuid));
        cr_assert_not(uuid_from_text(STR("AAAAAAAAAAAAAAAAAAAAA+"), &uuid));
        cr_assert_not(uuid_from_text(STR("AAAAAAAAAAAAAAAAAAAAA\0"), &uuid));
        cr_assert(uuid_from_text(STR("AAAAAAAAAAAAAAAAAAAAAA=="), &uuid), "padding is what other tools add");
        cr_assert(uuid_is_zero(&uuid));
}
