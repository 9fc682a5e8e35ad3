/* Replies on their way out: several in one sendmsg(), file spans straight from the page cache. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "broker/net/connection.h"
#include "storage/base/trace.h"

#define IOV_COUNT 64
#define SENDFILE_BYTES_MIN (32 << 10) /* smaller spans that are mapped travel with their neighbours */
#define TURN_BYTES_MAX ((size_t)4 << 20)

typedef struct Gather {
        struct iovec iov[IOV_COUNT];
        int count;
        size_t size;
        const FileSpan *span; /* comes next, by sendfile */
        size_t span_sent;
        bool more; /* there is more behind it */
} Gather;

/* Drops calls at the head of the queue that are done and wholly sent, or need not be. */
static void pop_sent(Connection *c) {
        for (ListNode *node; (node = list_first(&c->calls));) {
                Call *call = container_of(node, Call, node);
                Reply *reply = &call->reply;
                if (!call->is_done)
                        return;
                if (!call->no_reply && !c->is_unheard && (c->out_at < reply->bytes.size || c->out_span < reply->span_count))
                        return;
                if (call->close)
                        c->is_broken = true;
                list_remove(node);
                net_give_call(c->net, call);
                c->out_at = 0;
                c->out_span = c->out_span_sent = 0;
        }
}

static bool add_piece(Gather *g, const void *data, size_t size) {
        if (size == 0)
                return true;
        if (g->count == IOV_COUNT || g->size >= TURN_BYTES_MAX)
                return false;
        g->iov[g->count++] = (struct iovec){ .iov_base = (void *)(uintptr_t)data, .iov_len = size };
        g->size += size;
        return true;
}

/* False when gathering ends here. */
static bool gather_reply(Gather *g, const Reply *reply, size_t at, int32_t span, int32_t span_sent) {
        for (; span < reply->span_count; span++, span_sent = 0) {
                const ReplySpan *s = &reply->spans[span];
                if (!add_piece(g, reply->bytes.data + at, s->at - at))
                        return false;
                at = s->at;
                if (!s->span.map || s->span.size >= SENDFILE_BYTES_MIN) {
                        g->span = &s->span;
                        g->span_sent = (size_t)span_sent;
                        g->more = at < reply->bytes.size || span + 1 < reply->span_count;
                        return false;
                }
                if (!add_piece(g, s->span.map + span_sent, (size_t)(s->span.size - span_sent)))
                        return false;
        }
        return add_piece(g, reply->bytes.data + at, reply->bytes.size - at);
}

static void gather(const Connection *c, Gather *g) {
        g->count = 0;
        g->size = 0;
        g->span = NULL;
        size_t at = c->out_at;
        int32_t span = c->out_span, span_sent = c->out_span_sent;
        LIST_FOREACH(&c->calls, node) {
                const Call *call = container_of(node, Call, node);
                if (!call->is_done)
                        return;
                if (!call->no_reply && !gather_reply(g, &call->reply, at, span, span_sent))
                        return;
                if (call->close)
                        return;
                at = 0;
                span = span_sent = 0;
        }
}

/* n more bytes of the queue have left. */
static void advance(Connection *c, size_t n) {
        c->reply_bytes -= n;
        while (n > 0) {
                pop_sent(c);
                Reply *reply = &container_of(list_first(&c->calls), Call, node)->reply;
                ReplySpan *span = c->out_span < reply->span_count ? &reply->spans[c->out_span] : NULL;
                size_t end = span ? span->at : reply->bytes.size;
                if (c->out_at < end) {
                        size_t step = n < end - c->out_at ? n : end - c->out_at;
                        c->out_at += step;
                        n -= step;
                        continue;
                }
                int32_t left = span->span.size - c->out_span_sent;
                int32_t step = n < (size_t)left ? (int32_t)n : left;
                c->out_span_sent += step;
                n -= (size_t)step;
                if (c->out_span_sent == span->span.size) {
                        file_span_release(&span->span);
                        c->out_span++;
                        c->out_span_sent = 0;
                }
        }
        pop_sent(c);
}

static bool failed(Connection *c, const char *what) {
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
                c->out_blocked = true;
                return true;
        }
        if (errno == EPIPE || errno == ECONNRESET) {
                c->is_unheard = true;
                return true;
        }
        trace_warn("%s to %s failed: %s", what, c->host + 1, strerror(errno));
        return false;
}

/* Sends the gathered pieces, then the span. False: broken. Sets out_blocked when the socket takes no more, is_unheard when nobody is
 * there any more. */
static bool send_gathered(Connection *c, Gather *g, size_t *sent) {
        if (g->count > 0) {
                struct msghdr message = { .msg_iov = g->iov, .msg_iovlen = (size_t)g->count };
                ssize_t n = sendmsg(c->io.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT | (g->span ? MSG_MORE : 0));
                if (n < 0)
                        return failed(c, "sending");
                *sent += (size_t)n;
                advance(c, (size_t)n);
                if ((size_t)n < g->size) {
                        c->out_blocked = true;
                        return true;
                }
        }
        if (!g->span)
                return true;
        off_t position = g->span->position + (off_t)g->span_sent;
        size_t left = (size_t)g->span->size - g->span_sent;
        ssize_t n = sendfile(c->io.fd, g->span->fd, &position, left);
        if (n < 0)
                return failed(c, "sending records");
        if (n == 0) {
                trace_error("sending records to %s failed: the segment ends before its records", c->host + 1);
                return false;
        }
        *sent += (size_t)n;
        advance(c, (size_t)n);
        if ((size_t)n < left)
                c->out_blocked = true;
        return true;
}

bool output_flush(Connection *c) {
        size_t sent = 0;
        Gather g;
        c->out_blocked = false;
        pop_sent(c);
        while (c->reply_bytes > 0 && !c->out_blocked && !c->is_broken && !c->is_unheard) {
                gather(c, &g);
                if (g.count == 0 && !g.span)
                        break; /* finished replies behind one that is not */
                if (!send_gathered(c, &g, &sent))
                        return false;
                if (sent >= TURN_BYTES_MAX && c->reply_bytes > 0)
                        c->out_blocked = true; /* the others' turn: continues when the loop finds the socket writable */
        }
        if (c->is_unheard) {
                c->reply_bytes = 0;
                pop_sent(c);
        }
        if (sent > 0)
                connection_touch(c);
        return !c->is_broken;
}
