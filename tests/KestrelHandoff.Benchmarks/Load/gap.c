// What clients notice of one restart: gap PORT BEFORE_MS AFTER_MS COMMAND. COMMAND, which restarts what listens on PORT, is started after
// BEFORE_MS and must have exited, with 0, after AFTER_MS more; prints one line of JSON. In C, on one thread of a raised priority: a gap is a few milliseconds, and a managed client's own
// pauses are as long. Times in which this client or one of the processors was not run (a hypervisor has others) are taken off.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// The load of the main scenario: KEEP connections ask every 20 ms, evenly spread; a FRESH one comes every 5 ms, asks once and is closed;
// SLOW ones ask for 2 s again and again; IDLE ones ask at the beginning and at the end.
enum { KEEP = 32, SLOW = 8, IDLE = 200, FRESH = 512, ALL = KEEP + SLOW + IDLE + FRESH };
enum { KEEP_EVERY_MS = 20, FRESH_EVERY_MS = 5, RETRY_AFTER_MS = 10, UNANSWERED_MS = 1000, WARM_UP_MS = 1000 };
enum kind { keep, slow, idle, fresh };
typedef struct {
    enum kind kind;
    int fd, is_connecting, is_asked;
    double due;   // the next request
    double retry; // not before, once it has failed
    double since; // when the one that was asked was due: who is answered late asks late, and has waited from then on
    int length; // of the answer up to now
    char head[12], tail[8];
} client;

static client clients[ALL];
static int poller, port;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

// Stalls: of this client, and of each processor, whose watcher nothing in user space can hold up.
enum { SOURCES = 1 + 256, STALLS = 4096 };
static const double LONGEST_WAIT_MS = 2.5;
static struct { double from, to; } stalls[SOURCES][STALLS];
static int stall_count[SOURCES], processors;

static void add_stall(int source, double from, double to) {
    int n = stall_count[source];
    if (n < STALLS) {
        stalls[source][n].from = from;
        stalls[source][n].to = to;
        __atomic_store_n(&stall_count[source], n + 1, __ATOMIC_RELEASE);
    }
}

static double stalled(double from, double to) { // how much of the time between the two
    double sum = 0;
    for (double at = from; at < to;) {
        double next = to; // when something changes
        int is_in = 0;
        for (int s = 0; s <= processors; s++)
            for (int i = __atomic_load_n(&stall_count[s], __ATOMIC_ACQUIRE) - 1; i >= 0 && stalls[s][i].to > at; i--) {
                double change = stalls[s][i].from <= at ? stalls[s][i].to : stalls[s][i].from;
                is_in |= stalls[s][i].from <= at;
                if (change < next) next = change;
            }
        if (is_in) sum += next - at;
        at = next;
    }
    return sum;
}

static void *watch(void *argument) {
    long processor = (long)argument;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    struct sched_param highest = { .sched_priority = 99 };
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &highest)) { perror("sched_setscheduler"); exit(1); }
    for (double last = now();;) {
        struct timespec pause = { 0, 500000 };
        nanosleep(&pause, NULL);
        double t = now();
        if (t - last > LONGEST_WAIT_MS) add_stall(1 + processor, last + 0.5, t);
        last = t;
    }
    return NULL;
}

// What is counted, before the restart and around it.
enum { ANSWERS = 1 << 20 };
static struct { double last, longest, longest_with_stalls; float latency[ANSWERS]; int answers; } counts[2], *count;
static int lost, refused, reset, closed;

static void end(client *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->is_connecting = c->is_asked = 0;
}

static void see_gap(double t) {
    double with_stalls = t - count->last, gap = with_stalls - stalled(count->last, t);
    if (gap > count->longest) count->longest = gap;
    if (with_stalls > count->longest_with_stalls) count->longest_with_stalls = with_stalls;
    count->last = t;
}

static void answered(client *c, double t) {
    c->is_asked = 0;
    if (!count || (c->kind != keep && c->kind != fresh)) return; // what the old process still answers ends no outage
    if (memcmp(c->head, "HTTP/1.1 200", sizeof c->head)) lost++;
    see_gap(t);
    if (count->answers < ANSWERS) count->latency[count->answers++] = t - c->since - stalled(c->since, t);
}

static void failed(client *c, int error) {
    if (count == &counts[1]) {
        if (error == ECONNREFUSED) refused++;
        else if (error == ECONNRESET || error == EPIPE) reset++;
        else if (c->is_asked) lost++;
        else closed++;
    }
    end(c);
    c->retry = now() + RETRY_AFTER_MS;
}

static void ask(client *c) {
    const char *request = c->kind == fresh ? "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        : c->kind == slow ? "GET /slow?ms=2000 HTTP/1.1\r\nHost: localhost\r\n\r\n" : "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    c->is_asked = 1;
    c->length = 0;
    memset(c->tail, 0, sizeof c->tail);
    if (send(c->fd, request, strlen(request), MSG_NOSIGNAL) < 0) failed(c, errno);
}

static void connect_client(client *c) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data.ptr = c };
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) { perror("socket"); exit(1); }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    c->is_connecting = 1;
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
    if (connect(c->fd, (void *)&address, sizeof address) < 0 && errno != EINPROGRESS) failed(c, errno);
}

static int is_whole(client *c) { // the last chunk, or the end of the text
    return !memcmp(c->tail + 3, "0\r\n\r\n", 5) || !memcmp(c->tail + 6, ".\n", 2);
}

static void readable(client *c, double t) {
    char bytes[4096];
    ssize_t n;
    while (c->fd >= 0 && (n = recv(c->fd, bytes, sizeof bytes, 0)) != 0) {
        if (n < 0) {
            if (errno != EAGAIN) failed(c, errno);
            return;
        }
        for (ssize_t i = 0; i < n && c->length < (int)sizeof c->head; i++) c->head[c->length++] = bytes[i];
        for (ssize_t i = n > 8 ? n - 8 : 0; i < n; i++) { memmove(c->tail, c->tail + 1, 7); c->tail[7] = bytes[i]; }
        if (c->kind != fresh && c->is_asked && is_whole(c)) {
            answered(c, t);
            if (c->kind == slow) ask(c);
        }
    }
    if (c->fd < 0) return;
    if (c->kind == fresh && is_whole(c)) { answered(c, t); end(c); }
    else failed(c, 0);
}

static void happened(client *c, unsigned events, double t) {
    if (c->fd < 0) return;
    if (c->is_connecting && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
        int error = 0;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){ sizeof error });
        if (error) { failed(c, error); return; }
        c->is_connecting = 0;
        if (c->kind != keep) ask(c);
    }
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) readable(c, t);
}

static void poll_clients(void) {
    static double last;
    struct epoll_event events[64];
    struct timespec longest = { 0, 200000 };
    int n = epoll_pwait2(poller, events, 64, &longest, NULL);
    double t = now();
    if (last && t - last > LONGEST_WAIT_MS) add_stall(0, last, t);
    last = t;
    for (int i = 0; i < n; i++) happened(events[i].data.ptr, events[i].events, t);
}

static void send_due(double t) {
    static int next = KEEP + SLOW + IDLE;
    static double fresh_due;
    if (!fresh_due) fresh_due = t;
    for (int i = 0; i < KEEP + SLOW; i++) {
        client *c = &clients[i];
        if (c->fd < 0) {
            if (t >= c->retry) connect_client(c);
            continue;
        }
        if (c->kind != keep || t < c->due || c->is_connecting || c->is_asked) continue;
        c->since = c->due;
        c->due = c->due + KEEP_EVERY_MS > t - 5 * KEEP_EVERY_MS ? c->due + KEEP_EVERY_MS : t;
        ask(c);
    }
    for (; t >= fresh_due; fresh_due += FRESH_EVERY_MS) {
        client *c = &clients[next];
        next = next + 1 < ALL ? next + 1 : KEEP + SLOW + IDLE;
        if (c->fd < 0) { c->since = fresh_due; connect_client(c); }
    }
}

static int by_value(const void *a, const void *b) {
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

static double percentile(int which, double share) {
    int n = counts[which].answers;
    qsort(counts[which].latency, n, sizeof(float), by_value);
    return counts[which].latency[(int)(share * (n - 1))];
}

static int count_survivors(void) { // of the idle ones
    int survivors = 0;
    for (int i = KEEP + SLOW; i < KEEP + SLOW + IDLE; i++)
        if (clients[i].fd >= 0 && !clients[i].is_asked) ask(&clients[i]);
    for (double until = now() + 5000; now() < until;) {
        int open = 0;
        poll_clients();
        survivors = 0;
        for (int i = KEEP + SLOW; i < KEEP + SLOW + IDLE; i++) {
            open += clients[i].fd >= 0 && clients[i].is_asked;
            survivors += clients[i].fd >= 0 && !clients[i].is_asked;
        }
        if (!open) break;
    }
    return survivors;
}

int main(int argc, char **argv) {
    if (argc != 5) { fprintf(stderr, "usage: gap PORT BEFORE_MS AFTER_MS COMMAND\n"); return 2; }
    port = atoi(argv[1]);
    if (setpriority(PRIO_PROCESS, 0, -20)) { perror("setpriority, which takes root or CAP_SYS_NICE"); return 1; }
    processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (processors >= SOURCES) { fprintf(stderr, "%d processors are more than this counts stalls of\n", processors); return 1; }
    for (long i = 0; i < processors; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, watch, (void *)i)) { fprintf(stderr, "no thread to watch a processor\n"); return 1; }
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    double start = now();
    for (int i = 0; i < ALL; i++) {
        clients[i] = (client){ .fd = -1, .kind = i < KEEP ? keep : i < KEEP + SLOW ? slow : i < KEEP + SLOW + IDLE ? idle : fresh };
        clients[i].due = start + WARM_UP_MS / 2 + i * (double)KEEP_EVERY_MS / KEEP;
        if (clients[i].kind == idle) connect_client(&clients[i]);
    }
    pid_t command = 0;
    double begun = start + WARM_UP_MS, restarted = begun + atof(argv[2]), over = restarted + atof(argv[3]);
    for (double t = start; t < over; t = now()) {
        poll_clients();
        if (t >= start + WARM_UP_MS / 2) send_due(t);
        if (!count && t >= begun) {
            count = &counts[0];
            count->last = t;
        }
        if (count == &counts[0] && t >= restarted) {
            count = &counts[1];
            count->last = t;
            if (!(command = vfork())) {
                setpriority(PRIO_PROCESS, 0, 0);
                execl("/bin/sh", "sh", "-c", argv[4], NULL);
                _exit(127);
            }
        }
    }
    see_gap(over); // nobody may have been answered since
    for (int i = 0; i < KEEP; i++) lost += clients[i].is_asked && over - clients[i].since > UNANSWERED_MS;
    count = NULL;
    int status;
    if (command < 0 || waitpid(command, &status, WNOHANG) != command || status) { fprintf(stderr, "the restart failed, or took longer than %s ms (--window): %s\n", argv[3], argv[4]); return 1; }
    if (!counts[0].answers || !counts[1].answers) { fprintf(stderr, "nobody answers on port %d\n", port); return 1; }
    printf("{\"gapMs\":%.2f,\"gapWithStallsMs\":%.2f,\"p999Ms\":%.2f,\"gapBeforeMs\":%.2f,\"p999BeforeMs\":%.2f,\"lost\":%d,\"refused\":%d,\"reset\":%d,\"closed\":%d,\"survivors\":%d,\"stalledMs\":%.1f}\n",
        counts[1].longest, counts[1].longest_with_stalls, percentile(1, .999), counts[0].longest, percentile(0, .999), lost, refused, reset, closed, count_survivors(), stalled(restarted, over));
}
