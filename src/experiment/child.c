/* Starting, watching and stopping children. Between fork and exec only calls that are safe
 * there; posix_spawn cannot ask for a signal at the parent's death. */
#include "experiment/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

hn_status hn_folder_lock(int *out, const char *dir, hn_error *err) {
    *out = -1;
    HN_TRY(hn_dir_make(dir, err));
    char *const path = hn_path_join(dir, "lock");
    if (!path) return hn_no_memory(err, "a path");
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    hn_status status = HN_OK;
    if (fd < 0)
        status = hn_fail(err, HN_CANNOT_CREATE, "%s: cannot be made: %s", path, strerror(errno));
    else if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        *out = fd;
    else if (errno != EWOULDBLOCK)
        status = hn_fail(err, HN_CANNOT_CREATE, "%s: cannot be locked: %s", path, strerror(errno));
    if (fd >= 0 && *out < 0) close(fd);
    hn_free(path);
    return status;
}

typedef struct stage { /* all that the child needs, made before the fork */
    const char *const *argv;
    int in, out, log, lock;
    pid_t parent;
    sigset_t mask; /* the parent's */
} stage;

/* What asks the program to stop. It is held back around the fork: in between it would run the
 * parent's handler in the child and be forgotten by the exec. */
static const int asking[] = {SIGTERM, SIGINT};

static void hold_back(sigset_t *before) {
    sigset_t both;
    sigemptyset(&both);
    for (int k = 0; k < 2; k++) sigaddset(&both, asking[k]);
    pthread_sigmask(SIG_BLOCK, &both, before);
}

static void stop_by_default(const stage *s) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    for (int k = 0; k < 2; k++) sigaction(asking[k], &action, NULL);
    sigprocmask(SIG_SETMASK, &s->mask, NULL);
}

static void become(const stage *s) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    stop_by_default(s);
    if (getppid() != s->parent) _exit(130); /* it died before that */
    if (dup2(s->in, STDIN_FILENO) < 0 || dup2(s->out, STDOUT_FILENO) < 0 ||
        dup2(s->log, STDERR_FILENO) < 0 || fcntl(s->lock, F_SETFD, 0) != 0)
        _exit(127);
    char *const *argv;
    memcpy(&argv, &s->argv, sizeof argv); /* execv promises not to change them */
    execv(argv[0], argv);
    _exit(127);
}

static hn_status launch(hn_child *out, stage *s, hn_error *err) {
    hold_back(&s->mask);
    const pid_t pid = fork();
    if (pid == 0) become(s);
    pthread_sigmask(SIG_SETMASK, &s->mask, NULL);
    if (pid < 0)
        return hn_fail(err, HN_FAILED, "no process can be started for a run: %s", strerror(errno));
    out->pid = pid;
    return HN_OK;
}

static int open_file(const char *path, int flags, hn_error *err) {
    const int fd = open(path, flags | O_CLOEXEC, 0666);
    if (fd < 0) hn_fail(err, HN_CANNOT_CREATE, "%s: cannot be opened: %s", path, strerror(errno));
    return fd;
}

hn_status hn_child_start(hn_child *out, const char *const *argv, const char *out_path,
                         const char *log_path, int lock, hn_error *err) {
    *out = (hn_child){0};
    hn_error why = {0};
    stage s = {.argv = argv, .lock = lock, .in = -1, .out = -1, .log = -1, .parent = getpid()};
    s.in = open_file("/dev/null", O_RDONLY, &why);
    if (s.in >= 0) s.out = open_file(out_path, O_WRONLY | O_CREAT | O_TRUNC, &why);
    if (s.out >= 0) s.log = open_file(log_path, O_WRONLY | O_CREAT | O_APPEND, &why);
    const hn_status status =
        s.log >= 0 ? launch(out, &s, err) : hn_fail(err, why.status, "%s", why.text);
    if (s.in >= 0) close(s.in);
    if (s.out >= 0) close(s.out);
    if (s.log >= 0) close(s.log);
    return status;
}

static void take_end(hn_child *child, int status, const struct rusage *usage) {
    child->pid = 0;
    child->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    child->code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    child->peak_bytes = (int64_t)usage->ru_maxrss * 1024;
}

bool hn_child_ended(hn_child *child) {
    int status = 0;
    struct rusage usage = {0};
    const pid_t got = wait4(child->pid, &status, WNOHANG, &usage);
    if (got == 0 || (got < 0 && errno == EINTR)) return false;
    take_end(child, status, &usage);
    if (got < 0) child->code = 1; /* someone else has waited for it */
    return true;
}

void hn_child_ask(const hn_child *child) {
    if (child->pid > 0) kill(child->pid, SIGTERM);
}

void hn_child_kill(hn_child *child) {
    int status = 0;
    struct rusage usage = {0};
    if (child->pid <= 0) return;
    kill(child->pid, SIGKILL);
    while (wait4(child->pid, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    take_end(child, status, &usage);
}
