/* Ids and their base64 form. */
#include "storage/base/uuid.h"

#include <stdlib.h>
#include <sys/random.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

Uuid uuid_random(void) {
        Uuid uuid;
        do {
                if (getrandom(&uuid, sizeof(uuid), 0) != sizeof(uuid))
                        abort();
                uuid.bytes[6] = (uuid.bytes[6] & 0x0f) | 0x40;
                uuid.bytes[8] = (uuid.bytes[8] & 0x3f) | 0x80;
        } while (uuid.bytes[0] >> 2 == 62); /* would start with '-' */
        return uuid;
}

const char *uuid_to_text(const Uuid *uuid, char ret_text[static UUID_TEXT_SIZE]) {
        for (size_t i = 0; i < UUID_TEXT_SIZE - 1; i++) {
                size_t bit = i * 6, byte = bit / 8;
                unsigned pair = (unsigned)uuid->bytes[byte] << 8 | (byte + 1 < 16 ? uuid->bytes[byte + 1] : 0);
                ret_text[i] = alphabet[pair >> (10 - bit % 8) & 63];
        }
        ret_text[UUID_TEXT_SIZE - 1] = '\0';
        return ret_text;
}

bool uuid_from_text(Str text, Uuid *ret_uuid) {
        if (text.len == 24 && text.data[22] == '=' && text.data[23] == '=')
                text.len = 22;
        if (text.len != UUID_TEXT_SIZE - 1)
                return false;
        Uuid uuid = UUID_ZERO;
        for (size_t i = 0; i < text.len; i++) {
                const char *at = text.data[i] ? strchr(alphabet, text.data[i]) : NULL;
                if (!at)
                        return false;
                unsigned value = (unsigned)(at - alphabet) << 10 >> (i * 6 % 8);
                size_t byte = i * 6 / 8;
                uuid.bytes[byte] |= (uint8_t)(value >> 8);
                if (byte + 1 < 16)
                        uuid.bytes[byte + 1] |= (uint8_t)value;
        }
        *ret_uuid = uuid;
        return true;
}
