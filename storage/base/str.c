/* Slices: comparison, copies, escaping for log lines, numbers. */
#include "storage/base/str.h"

#include <stdio.h>
#include <stdlib.h>

int str_compare(Str a, Str b) {
        size_t n = a.len < b.len ? a.len : b.len;
        int r = n ? memcmp(a.data, b.data, n) : 0;
        return r ? r : (a.len > b.len) - (a.len < b.len);
}

char *str_dup(Str s) {
        if (str_is_null(s))
                return NULL;
        char *copy = malloc(s.len + 1);
        if (!copy)
                return NULL;
        if (s.len)
                memcpy(copy, s.data, s.len);
        copy[s.len] = '\0';
        return copy;
}

const char *str_escape(Str s, char *buffer, size_t size) {
        size_t used = 0;
        for (size_t i = 0; i < s.len; i++) {
                unsigned char c = (unsigned char)s.data[i];
                bool plain = c >= 0x20 && c < 0x7f && c != '\\';
                if (used + (plain ? 1 : 4) >= size)
                        break;
                if (plain)
                        buffer[used++] = (char)c;
                else
                        used += (size_t)snprintf(buffer + used, size - used, "\\x%02x", c);
        }
        buffer[used] = '\0';
        return buffer;
}

bool str_to_int64(Str s, int64_t min, int64_t max, int64_t *ret_value) {
        size_t i = s.len && s.data[0] == '-';
        if (i == s.len)
                return false;
        __int128 value = 0;
        for (; i < s.len; i++) {
                if (s.data[i] < '0' || s.data[i] > '9')
                        return false;
                value = value * 10 + (s.data[i] - '0');
                if (value > (__int128)INT64_MAX + 1)
                        return false;
        }
        if (s.data[0] == '-')
                value = -value;
        if (value < min || value > max)
                return false;
        *ret_value = (int64_t)value;
        return true;
}
