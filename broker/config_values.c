/* One value of a config: what is allowed, and how it is told. */
#include <math.h>
#include <stdlib.h>

#include "broker/config.h"

#define SPELLING_BYTES_MAX CONFIG_SPELLING_SIZE(0)

/* Without the blanks around it, as Java's trim() counts them. */
static Str trim(Str s) {
        while (s.len && (unsigned char)s.data[0] <= ' ')
                s = (Str){ .data = s.data + 1, .len = s.len - 1 };
        while (s.len && (unsigned char)s.data[s.len - 1] <= ' ')
                s.len--;
        return s;
}

/* The number without blanks and without the plus sign that Java accepts. */
static Str bare_number(Str s) {
        s = trim(s);
        return s.len > 1 && s.data[0] == '+' && s.data[1] >= '0' && s.data[1] <= '9' ? (Str){ .data = s.data + 1, .len = s.len - 1 } : s;
}

bool config_next_item(Str *list, Str *ret_item) {
        if (str_is_null(*list))
                return false;
        const char *comma = list->len ? memchr(list->data, ',', list->len) : NULL;
        size_t length = comma ? (size_t)(comma - list->data) : list->len;
        *ret_item = trim((Str){ .data = list->data, .len = length });
        *list = comma ? (Str){ .data = comma + 1, .len = list->len - length - 1 } : STR_NULL;
        return true;
}

static bool is_allowed(const char *valid, Str item) {
        Str rest = str_of(valid), allowed;
        while (config_next_item(&rest, &allowed))
                if (str_equal(allowed, item))
                        return true;
        return false;
}

static const char *const number_names[] = {
        [CONFIG_TYPE_INT] = "INT",
        [CONFIG_TYPE_SHORT] = "SHORT",
        [CONFIG_TYPE_LONG] = "LONG",
        [CONFIG_TYPE_DOUBLE] = "DOUBLE",
};

/* "a,b" as Kafka shows it: "[a, b]" is written by the caller around this. */
static void spell_list(const char *valid, char *out, size_t size) {
        size_t used = 0;
        for (const char *p = valid; *p && used + 3 < size; p++) {
                out[used++] = *p;
                if (*p == ',')
                        out[used++] = ' ';
        }
        out[used] = '\0';
}

static bool validate_number(const ConfigKey *key, Str value, char *message, size_t size) {
        static const int64_t widest[][2] = {
                [CONFIG_TYPE_INT] = { INT32_MIN, INT32_MAX },
                [CONFIG_TYPE_SHORT] = { INT16_MIN, INT16_MAX },
                [CONFIG_TYPE_LONG] = { INT64_MIN, INT64_MAX },
        };
        int64_t number;
        if (!str_to_int64(bare_number(value), widest[key->type][0], widest[key->type][1], &number)) {
                snprintf(message, size, "Invalid value %.*s for configuration %s: Not a number of type %s", STR_ARG(value),
                         key->name, number_names[key->type]);
                return false;
        }
        if ((number >= key->min && number <= key->max) || (key->also && number == key->also))
                return true;
        if (key->also)
                snprintf(message, size, "Invalid value %lld for configuration %s: Value must be between %lld and %lld or equal to %lld",
                         (long long)number, key->name, (long long)key->min, (long long)key->max, (long long)key->also);
        else
                snprintf(message, size, "Invalid value %lld for configuration %s: Value must be %s %lld", (long long)number, key->name,
                         number < key->min ? "at least" : "no more than", (long long)(number < key->min ? key->min : key->max));
        return false;
}

/* Whether Java's Double.parseDouble() takes the number, which has no sign and no suffix any more: strtod() takes more than that. */
static bool is_double(Str body) {
        bool is_hex = body.len > 2 && body.data[0] == '0' && (body.data[1] | 0x20) == 'x', has_digit = false, has_exponent = false;
        for (size_t i = is_hex ? 2 : 0; i < body.len; i++) {
                char c = body.data[i];
                if (!c || !strchr(is_hex ? "+-.0123456789abcdefABCDEFpP" : "+-.0123456789eE", c))
                        return false;
                has_digit = has_digit || (c >= '0' && c <= '9') || (is_hex && strchr("abcdefABCDEF", c));
                has_exponent = has_exponent || (c | 0x20) == 'p';
        }
        return has_digit && has_exponent == is_hex;
}

/* Java's notation: digits, a fraction, an exponent, one of the suffixes fFdD; or hexadecimal, with an exponent. */
static bool parse_double(Str value, double *ret_number) {
        Str body = value = trim(value);
        if (body.len && strchr("+-", body.data[0]))
                body = (Str){ .data = body.data + 1, .len = body.len - 1 };
        bool is_named = str_equal(body, STR("NaN")) || str_equal(body, STR("Infinity"));
        if (!is_named && body.len && strchr("fFdD", body.data[body.len - 1])) {
                body.len--;
                value.len--;
        }
        char *text = is_named || is_double(body) ? str_dup(value) : NULL, *end;
        if (!text)
                return false;
        *ret_number = strtod(text, &end);
        bool ok = *end == '\0';
        free(text);
        return ok;
}

/* As Java writes it: with as few digits as tell it from all others, and an exponent from 10^7 on and below 10^-3. */
static void spell_double(double number, char ret_text[static SPELLING_BYTES_MAX]) {
        char digits[SPELLING_BYTES_MAX - 8];
        int precision = 1;
        if (isnan(number) || isinf(number)) {
                snprintf(ret_text, SPELLING_BYTES_MAX, "%s", isnan(number) ? "NaN" : number < 0 ? "-Infinity" : "Infinity");
                return;
        }
        do
                snprintf(digits, sizeof(digits), "%.*e", precision - 1, number);
        while (strtod(digits, NULL) != number && ++precision <= 17);
        int exponent = atoi(strchr(digits, 'e') + 1);
        if (number == 0 || (exponent < 7 && exponent >= -3)) {
                snprintf(ret_text, SPELLING_BYTES_MAX, "%.*f", precision - 1 > exponent ? precision - 1 - exponent : 1, number);
                return;
        }
        if (precision == 1)
                snprintf(digits, sizeof(digits), "%.1e", number); /* a digit behind the point in any case */
        *strchr(digits, 'e') = 0;
        snprintf(ret_text, SPELLING_BYTES_MAX, "%sE%d", digits, exponent);
}

static bool validate_double(const ConfigKey *key, Str value, char *message, size_t size) {
        double number;
        if (!parse_double(value, &number)) {
                snprintf(message, size, "Invalid value %.*s for configuration %s: Not a number of type DOUBLE", STR_ARG(value), key->name);
                return false;
        }
        if (key->min == key->max || !(number < (double)key->min || number > (double)key->max)) /* NaN is not */
                return true;
        bool is_low = number < (double)key->min;
        char shown[SPELLING_BYTES_MAX];
        spell_double(number, shown);
        snprintf(message, size, "Invalid value %s for configuration %s: Value must be %s %lld", shown, key->name,
                 is_low ? "at least" : "no more than", (long long)(is_low ? key->min : key->max));
        return false;
}

static bool validate_boolean(const ConfigKey *key, Str value, char *message, size_t size) {
        Str bare = trim(value);
        if ((bare.len == 4 && strncasecmp(bare.data, "true", 4) == 0) || (bare.len == 5 && strncasecmp(bare.data, "false", 5) == 0))
                return true;
        snprintf(message, size, "Invalid value %.*s for configuration %s: Expected value to be either true or false", STR_ARG(value),
                 key->name);
        return false;
}

static bool validate_choice(const ConfigKey *key, Str value, char *message, size_t size) {
        char choices[256];
        if (!key->valid || is_allowed(key->valid, value))
                return true;
        spell_list(key->valid, choices, sizeof(choices));
        snprintf(message, size, "Invalid value %.*s for configuration %s: String must be one of: %s", STR_ARG(value), key->name, choices);
        return false;
}

/* A list whose items have a set of values: none of them may be empty, unless the whole is. */
static bool validate_list(const ConfigKey *key, Str value, char *message, size_t size) {
        Str rest = value, item;
        if (!key->valid || trim(value).len == 0)
                return true;
        while (config_next_item(&rest, &item))
                if (item.len == 0) {
                        snprintf(message, size, "Configuration '%s' values must not be empty.", key->name);
                        return false;
                }
        rest = value;
        while (config_next_item(&rest, &item))
                if (!validate_choice(key, item, message, size))
                        return false;
        return true;
}

static bool is_partition_and_broker(Str item) {
        const char *colon = item.len ? memchr(item.data, ':', item.len) : NULL;
        int64_t number;
        return colon && str_to_int64((Str){ .data = item.data, .len = (size_t)(colon - item.data) }, 0, INT32_MAX, &number) &&
               str_to_int64((Str){ .data = colon + 1, .len = (size_t)(item.data + item.len - colon - 1) }, 0, INT32_MAX, &number);
}

/* The items as Java prints a list, cut where they are too many. */
static void spell_items(Str list, char *text, size_t size) {
        Str item;
        size_t used = 0;
        text[0] = 0;
        while (used < size && config_next_item(&list, &item))
                used += (size_t)snprintf(text + used, size - used, "%s%.*s", used ? ", " : "", STR_ARG(item));
}

/* The two configs that tools set while they move replicas. */
static bool validate_throttled(const ConfigKey *key, Str value, char *message, size_t size) {
        Str rest = value, item;
        bool ok = true;
        if (trim(value).len == 0 || str_equal(trim(value), STR("*")))
                return true;
        while (config_next_item(&rest, &item))
                ok = ok && is_partition_and_broker(item);
        if (ok)
                return true;
        snprintf(message, size, "Invalid value [");
        size_t used = strlen(message);
        spell_items(value, message + used, size - used);
        used += strlen(message + used);
        snprintf(message + used, size - used,
                 "] for configuration %s: %s must be the literal '*' or a list of replicas in the following format: "
                 "[partitionId]:[brokerId],[partitionId]:[brokerId],...",
                 key->name, key->name);
        return false;
}

bool config_validate(const ConfigKey *key, Str value, char *ret_message, size_t message_size) {
        if (value.len > CONFIG_VALUE_LENGTH_MAX) {
                snprintf(ret_message, message_size, "Invalid value for configuration %s: longer than %d bytes", key->name,
                         CONFIG_VALUE_LENGTH_MAX);
                return false;
        }
        switch (key->type) {
        case CONFIG_TYPE_INT:
        case CONFIG_TYPE_SHORT:
        case CONFIG_TYPE_LONG:
                return validate_number(key, value, ret_message, message_size);
        case CONFIG_TYPE_DOUBLE:
                return validate_double(key, value, ret_message, message_size);
        case CONFIG_TYPE_BOOLEAN:
                return validate_boolean(key, value, ret_message, message_size);
        case CONFIG_TYPE_LIST:
                if (strstr(key->name, "replication.throttled.replicas"))
                        return validate_throttled(key, value, ret_message, message_size);
                return validate_list(key, value, ret_message, message_size);
        default:
                if (strcmp(key->name, "share.auto.offset.reset") == 0)
                        return config_validate_offset_reset(key, trim(value), ret_message, message_size);
                return validate_choice(key, trim(value), ret_message, message_size);
        }
}

bool config_is_readable(const ConfigKey *key, Str value) {
        int64_t number;
        double real;
        if (key->type == CONFIG_TYPE_INT || key->type == CONFIG_TYPE_SHORT || key->type == CONFIG_TYPE_LONG)
                return str_to_int64(bare_number(value), INT64_MIN, INT64_MAX, &number);
        return key->type != CONFIG_TYPE_DOUBLE || parse_double(value, &real);
}

/* ---- as Kafka tells it */

typedef struct Item {
        Str text;
        size_t place;
        bool is_repeated;
} Item;

static int compare_texts(const void *a, const void *b) {
        const Item *left = a, *right = b;
        int order = str_compare(left->text, right->text);
        return order ? order : left->place < right->place ? -1 : 1;
}

static int compare_places(const void *a, const void *b) {
        return ((const Item *)a)->place < ((const Item *)b)->place ? -1 : 1;
}

/* The items in their order, of which all but the first of each kind are marked; NULL without memory. */
static Item *split(Str list, size_t *ret_count) {
        size_t count = 0;
        Str text;
        for (Str rest = list; config_next_item(&rest, &text);)
                count++;
        Item *items = malloc((count + 1) * sizeof(*items));
        for (size_t i = 0; items && config_next_item(&list, &text); i++)
                items[i] = (Item){ text, i, false };
        if (items) {
                qsort(items, count, sizeof(*items), compare_texts);
                for (size_t i = 1; i < count; i++)
                        items[i].is_repeated = str_equal(items[i - 1].text, items[i].text);
                qsort(items, count, sizeof(*items), compare_places);
        }
        *ret_count = count;
        return items;
}

/* Most lists are sets. */
static bool may_repeat(const ConfigKey *key) {
        return strstr(key->name, "replication.throttled.replicas") || str_starts_with(str_of(key->name), STR("controller.quorum."));
}

static bool spell_set(const ConfigKey *key, Str value, char *text) {
        size_t count, used = 0;
        Item *items = split(value, &count);
        for (size_t i = 0; items && i < count; i++) {
                if (items[i].is_repeated && !may_repeat(key))
                        continue;
                if (i > 0)
                        text[used++] = ',';
                memcpy(text + used, items[i].text.data, items[i].text.len);
                used += items[i].text.len;
        }
        text[used] = 0;
        free(items);
        return items;
}

static void spell_text(Str value, char *text) {
        memcpy(text, value.data, value.len);
        text[value.len] = 0;
}

bool config_spell(const ConfigKey *key, Str value, char *ret_text) {
        int64_t whole;
        double number;
        spell_text(key->custom ? value : trim(value), ret_text); /* where it is nothing better */
        if (key->custom)
                return true;
        switch (key->type) {
        case CONFIG_TYPE_INT:
        case CONFIG_TYPE_SHORT:
        case CONFIG_TYPE_LONG:
                if (str_to_int64(bare_number(value), INT64_MIN, INT64_MAX, &whole))
                        snprintf(ret_text, CONFIG_SPELLING_SIZE(value.len), "%lld", (long long)whole);
                return true;
        case CONFIG_TYPE_DOUBLE:
                if (parse_double(value, &number))
                        spell_double(number, ret_text);
                return true;
        case CONFIG_TYPE_BOOLEAN:
                for (char *c = ret_text; *c; c++)
                        *c |= 0x20;
                return true;
        case CONFIG_TYPE_LIST:
                return spell_set(key, value, ret_text);
        default:
                return true;
        }
}
