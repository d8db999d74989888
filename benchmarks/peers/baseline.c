/*
 * What the kernel asks for: WebSocket fan-out and requests with nothing around them.
 *
 *     cc -O2 -o baseline baseline.c && ./baseline PORT [joined]
 *
 * One thread, epoll, a frame made once an event, one send() a connection and event; with `joined`,
 * the events of one publication in one send() a connection. It speaks the text of peers/__init__.py.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { INPUT = 4096, JOINED = 65536, WAIT_MS = 1000, EVENTS = 512 };

typedef struct Connection {
    struct Connection *next, *previous; /* of its room */
    struct Room *room;
    int fd, upgraded;
    size_t filled;
    char input[INPUT];
} Connection;

typedef struct Room {
    struct Room *next;
    char name[64];
    Connection members; /* a ring, through this one that is nobody */
} Room;

static Room *rooms;
static int poller, join_frames;

/* SHA-1 (RFC 3174) and base64, for the handshake. */

static uint32_t rotate(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

static void sha1_block(uint32_t state[5], const uint8_t *block) {
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 |
               block[4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                              : (b ^ c ^ d) + 0xca62c1d6;
        uint32_t next = rotate(a, 5) + f + e + w[i];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

/* The digest of a message of 60 bytes, which is what a key and its suffix are. */
static void sha1(const char *message, uint8_t digest[20]) {
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t padded[128] = {0};
    memcpy(padded, message, 60);
    padded[60] = 0x80;
    padded[126] = 60 * 8 >> 8, padded[127] = 60 * 8 & 255;
    sha1_block(state, padded);
    sha1_block(state, padded + 64);
    for (int i = 0; i < 20; i++) digest[i] = state[i / 4] >> (24 - i % 4 * 8);
}

static void base64(const uint8_t digest[20], char text[29]) {
    static const char *alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t padded[21] = {0};
    memcpy(padded, digest, 20);
    for (int i = 0; i < 7; i++) {
        uint32_t three = padded[3 * i] << 16 | padded[3 * i + 1] << 8 | padded[3 * i + 2];
        for (int j = 0; j < 4; j++) text[4 * i + j] = alphabet[three >> (18 - 6 * j) & 63];
    }
    text[27] = '=', text[28] = 0;
}

/* Frames. */

static size_t frame(char *out, const char *payload, size_t length) {
    size_t head = 2;
    out[0] = (char)0x81;
    if (length < 126) {
        out[1] = (char)length;
    } else {
        out[1] = 126, out[2] = (char)(length >> 8), out[3] = (char)(length & 255);
        head = 4;
    }
    memcpy(out + head, payload, length);
    return head + length;
}

/* A peer that takes nothing for a second is given up. */
static void send_all(int fd, const char *data, size_t length) {
    while (length > 0) {
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
        if (sent > 0) {
            data += sent, length -= (size_t)sent;
        } else if (sent < 0 && errno == EAGAIN) {
            struct pollfd peer = {.fd = fd, .events = POLLOUT};
            if (poll(&peer, 1, WAIT_MS) > 0) continue;
            shutdown(fd, SHUT_RDWR);
            return;
        } else {
            return;
        }
    }
}

static void send_text(int fd, const char *text) {
    char out[512];
    send_all(fd, out, frame(out, text, strlen(text)));
}

/* Rooms. */

static Room *room_of(const char *name) {
    for (Room *room = rooms; room; room = room->next)
        if (!strcmp(room->name, name)) return room;
    Room *room = calloc(1, sizeof *room);
    snprintf(room->name, sizeof room->name, "%s", name);
    room->members.next = room->members.previous = &room->members;
    room->next = rooms;
    return rooms = room;
}

static void leave(Connection *connection) {
    if (!connection->room) return;
    connection->next->previous = connection->previous;
    connection->previous->next = connection->next;
    connection->room = NULL;
}

static void subscribe(Connection *connection, const char *name) {
    leave(connection);
    Room *room = connection->room = room_of(name);
    Connection *last = room->members.previous;
    connection->previous = last, connection->next = &room->members;
    last->next = room->members.previous = connection;
    send_text(connection->fd, "OK");
}

static void deliver(Room *room, const char *data, size_t length) {
    for (Connection *member = room->members.next; member != &room->members; member = member->next)
        send_all(member->fd, data, length);
}

static int candle(char *out, size_t capacity, size_t size) {
    static unsigned seq;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int length = snprintf(
        out, capacity,
        "{\"t\":%lld,\"seq\":%u,\"s\":\"BTCUSDT\",\"k\":{\"i\":\"1m\",\"o\":\"67012.51000000\","
        "\"c\":\"67013.22000000\",\"h\":\"67020.00000000\",\"l\":\"67000.10000000\","
        "\"v\":\"12.34567000\",\"n\":153,\"x\":false},\"f\":\"",
        now.tv_sec * 1000000000LL + now.tv_nsec, seq++);
    while ((size_t)length + 2 < size && (size_t)length + 3 < capacity) out[length++] = 'x';
    return length + sprintf(out + length, "\"}");
}

static void publish(const char *name, int count, size_t size) {
    static char out[JOINED], payload[JOINED / 2];
    Room *room = room_of(name);
    size_t filled = 0;
    for (int i = 0; i < count; i++) {
        size_t length = (size_t)candle(payload, sizeof payload, size);
        if (filled + length + 4 > sizeof out) {
            deliver(room, out, filled);
            filled = 0;
        }
        filled += frame(out + filled, payload, length);
        if (!join_frames || i == count - 1) {
            deliver(room, out, filled);
            filled = 0;
        }
    }
}

/* Connections. */

static void serve(Connection *connection, char *asked) {
    char name[64];
    int count;
    size_t size;
    if (sscanf(asked, "S %63s", name) == 1)
        subscribe(connection, name);
    else if (sscanf(asked, "P %63s %d %zu", name, &count, &size) == 3)
        publish(name, count, size);
    else
        send_text(connection->fd,
                  "{\"id\":123,\"result\":{\"order_id\":\"A1B2C3D4\",\"symbol\":\"BTCUSDT\","
                  "\"status\":\"accepted\",\"filled\":0.0}}");
}

static int upgrade(Connection *connection) {
    static const char *suffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char joined[61] = {0}, accept[29], answer[256];
    uint8_t digest[20];
    char *key = strcasestr(connection->input, "sec-websocket-key:");
    if (!key) return -1;
    key += 18;
    while (*key == ' ') key++;
    memcpy(joined, key, 24);
    memcpy(joined + 24, suffix, 36);
    sha1(joined, digest);
    base64(digest, accept);
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    send_all(connection->fd, answer, (size_t)length);
    connection->upgraded = 1;
    return 0;
}

/* Serve what is whole of the input, and return how much that was; -1 for a peer that is done. */
static long take(Connection *connection) {
    char *input = connection->input, text[INPUT];
    if (!connection->upgraded) {
        char *end = strstr(input, "\r\n\r\n");
        if (!end) return 0;
        return upgrade(connection) ? -1 : end + 4 - input;
    }
    size_t filled = connection->filled, head = 6;
    if (filled < head) return 0;
    size_t length = input[1] & 127;
    if (length == 126) {
        head = 8;
        if (filled < head) return 0;
        length = (size_t)(uint8_t)input[2] << 8 | (uint8_t)input[3];
    }
    if (filled < head + length) return 0;
    if ((input[0] & 15) == 8) return -1;
    const char *mask = input + head - 4;
    for (size_t i = 0; i < length; i++) text[i] = input[head + i] ^ mask[i & 3];
    text[length] = 0;
    if ((input[0] & 15) < 3) serve(connection, text);
    return (long)(head + length);
}

static void end(Connection *connection) {
    leave(connection);
    close(connection->fd);
    free(connection);
}

static void read_from(Connection *connection) {
    size_t space = INPUT - 1 - connection->filled;
    ssize_t got = recv(connection->fd, connection->input + connection->filled, space, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return end(connection);
    connection->filled += (size_t)got;
    connection->input[connection->filled] = 0;
    long taken;
    while ((taken = take(connection)) > 0) {
        connection->filled -= (size_t)taken;
        memmove(connection->input, connection->input + taken, connection->filled + 1);
    }
    if (taken < 0) end(connection);
}

static void accept_all(int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        Connection *connection = calloc(1, sizeof *connection);
        connection->fd = fd;
        struct epoll_event interest = {.events = EPOLLIN, .data.ptr = connection};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &interest);
    }
}

int main(int count, char **arguments) {
    if (count < 2) return fprintf(stderr, "usage: %s PORT [joined]\n", arguments[0]), 2;
    join_frames = count > 2;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(arguments[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096))
        return perror("listen"), 1;
    poller = epoll_create1(0);
    struct epoll_event interest = {.events = EPOLLIN}, ready[EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &interest);
    for (;;) {
        int events = epoll_wait(poller, ready, EVENTS, -1);
        for (int i = 0; i < events; i++) {
            if (ready[i].data.ptr)
                read_from(ready[i].data.ptr);
            else
                accept_all(listener);
        }
    }
}
