/* child_test.c - a text through a program. */
#include "child.h"
#include "test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int run(const char *command, const char *s)
{
    struct err e;

    return child_status(command, s, strlen(s), 5, &e);
}

int main(void)
{
    struct err e;
    struct timespec a, b;
    sigset_t term;
    char *big = malloc(1 << 22), mark[] = "/tmp/child.XXXXXX", cmd[200];
    int fd = mkstemp(mark);

    TEST("exit statuses and signals");
    CHECK(run("grep -q fox", "the fox") == 0 && run("grep -q fox", "the goat") == 1);
    CHECK(run("exit 7", "") == 7 && run("kill -TERM $$", "") == 128 + SIGTERM);
    CHECK(run("no-such-program", "") == 127);
    TEST("a large text, read or not");
    memset(big, 'x', 1 << 22);
    CHECK(child_status("[ $(wc -c) = 4194304 ]", big, 1 << 22, 10, &e) == 0);
    CHECK(child_status("exit 3", big, 1 << 22, 10, &e) == 3);
    TEST("a time limit, for all that was started");
    snprintf(cmd, sizeof(cmd), "(sleep 1; echo late >%s) & sleep 9", mark);
    clock_gettime(CLOCK_MONOTONIC, &a);
    CHECK(child_status(cmd, "", 0, 0.2, &e) == CHILD_TIMEOUT);
    clock_gettime(CLOCK_MONOTONIC, &b);
    CHECK(b.tv_sec - a.tv_sec <= 2);
    sleep(2);
    CHECK(lseek(fd, 0, SEEK_END) == 0);
    TEST("blocked signals are not inherited");
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    CHECK(run("kill -TERM $$; sleep 1; exit 0", "") == 128 + SIGTERM);
    close(fd);
    unlink(mark);
    free(big);
    return test_end();
}
