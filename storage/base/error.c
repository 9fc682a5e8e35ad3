/* Names of Kafka's error codes. */
#include "storage/base/error.h"

const char *kafka_error_name(int code) {
        switch (code) {
#define X(name, number) \
        case number:    \
                return #name;
                KAFKA_ERRORS(X)
#undef X
        default:
                return "UNKNOWN_SERVER_ERROR";
        }
}
