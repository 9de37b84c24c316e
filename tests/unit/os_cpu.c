/* SPDX-License-Identifier: MIT
 *
 * The number of CPUs, from made-up proc and cgroup trees.
 */
#include "harness/test.h"
#include "os/os.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* More CPUs than any quota in here, so that a quota shows. */
enum { AFFINITY = 64 };

struct file {
    const char *path; /* "proc/..." or "cgroup/..."; NULL ends a list */
    const char *text; /* with '@' for the tree's root */
};

static void make_directories(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) != 0)
            CHECK_EQ(errno, EEXIST);
        *slash = '/';
    }
}

static void write_file(const char *root, const struct file *file)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", root, file->path);
    make_directories(path);
    FILE *stream = fopen(path, "w");
    CHECK(stream != NULL);
    for (const char *at = file->text; *at != '\0'; at++) {
        if (*at == '@')
            fputs(root, stream);
        else
            fputc(*at, stream);
    }
    CHECK_EQ(fclose(stream), 0);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status, (void)type, (void)ftw;
    return remove(path);
}

static void remove_tree(const char *root)
{
    CHECK_EQ(nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* The tree is gone again when the result is looked at. */
static int cpus_with(int affinity, const struct file *files)
{
    char root[] = "/tmp/weft-os-cpu-XXXXXX";
    char proc[sizeof root + 8], cgroup[sizeof root + 8];
    CHECK(mkdtemp(root) != NULL);
    snprintf(proc, sizeof proc, "%s/proc", root);
    snprintf(cgroup, sizeof cgroup, "%s/cgroup", root);
    for (; files->path != NULL; files++)
        write_file(root, files);
    int count = wi_os_cpu_count_in(proc, cgroup, affinity);
    remove_tree(root);
    return count;
}

#define CPUS(...) cpus_with(AFFINITY, (const struct file[]){__VA_ARGS__, {NULL, NULL}})
#define CPUS_OF(affinity_, ...)                                                                    \
    cpus_with(affinity_, (const struct file[]){__VA_ARGS__, {NULL, NULL}})
#define CGROUP(text_)                                                                              \
    {                                                                                              \
        "proc/self/cgroup", text_                                                                  \
    }
#define MOUNTS(text_)                                                                              \
    {                                                                                              \
        "proc/self/mountinfo", text_                                                               \
    }
#define MOUNT(root_, point_, tail_)                                                                \
    "30 23 0:26 " root_ " " point_ " rw,nosuid shared:4 - " tail_ "\n"
#define V2_MOUNT MOUNT("/", "/sys/fs/cgroup", "cgroup2 cgroup2 rw,nsdelegate")
#define V1_MOUNT MOUNT("/", "/sys/fs/cgroup/cpu,cpuacct", "cgroup cgroup rw,cpu,cpuacct")
#define V1_QUOTA(directory_, quota_)                                                               \
    {"cgroup/cpu,cpuacct" directory_ "/cpu.cfs_quota_us", quota_},                                 \
    {                                                                                              \
        "cgroup/cpu,cpuacct" directory_ "/cpu.cfs_period_us", "100000\n"                           \
    }
#define NO_CPU_MOUNTS                                                                              \
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"                                              \
    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n" MOUNT(                               \
        "/", "/sys/fs/cgroup/cpuset", "cgroup cgroup rw,cpuset,cpuacct")

TEST(no_files_at_all)
{
    CHECK_EQ(wi_os_cpu_count_in("/nonexistent/proc", "/nonexistent/cgroup", 3), 3);
    CHECK_EQ(wi_os_cpu_count_in("/nonexistent/proc", "/nonexistent/cgroup", 0), 1);
}

TEST(v2)
{
    CHECK_EQ(CPUS(CGROUP("0::/app\n"), MOUNTS(NO_CPU_MOUNTS V2_MOUNT),
                  {"cgroup/app/cpu.max", "300000 100000\n"}),
             3);
    CHECK_EQ(CPUS(CGROUP("0::/app\n"), MOUNTS(V2_MOUNT), {"cgroup/app/cpu.max", "max 100000\n"}),
             AFFINITY);
    CHECK_EQ(CPUS(CGROUP("0::/app\n"), MOUNTS(V2_MOUNT), {"cgroup/app/memory.max", "1000\n"}),
             AFFINITY);
}

TEST(rounds_up)
{
    CHECK_EQ(CPUS(CGROUP("0::/app\n"), MOUNTS(V2_MOUNT), {"cgroup/app/cpu.max", "200001 100000\n"}),
             3);
    CHECK_EQ(CPUS(CGROUP("0::/app\n"), MOUNTS(V2_MOUNT), {"cgroup/app/cpu.max", "1000 100000\n"}),
             1);
    CHECK_EQ(CPUS(CGROUP("0::/app\n"), MOUNTS(V2_MOUNT), {"cgroup/app/cpu.max", "5000 1000"}), 5);
}

TEST(affinity_may_be_tighter)
{
    CHECK_EQ(CPUS_OF(2, CGROUP("0::/app\n"), MOUNTS(V2_MOUNT),
                     {"cgroup/app/cpu.max", "300000 100000\n"}),
             2);
}

TEST(the_tightest_ancestor_counts)
{
    CHECK_EQ(CPUS(CGROUP("0::/a/b/c\n"), MOUNTS(V2_MOUNT), {"cgroup/a/cpu.max", "200000 100000\n"},
                  {"cgroup/a/b/cpu.max", "max 100000\n"},
                  {"cgroup/a/b/c/cpu.max", "800000 100000\n"}),
             2);
    CHECK_EQ(CPUS(CGROUP("0::/a/b/c\n"), MOUNTS(V2_MOUNT), {"cgroup/a/cpu.max", "800000 100000\n"},
                  {"cgroup/a/b/c/cpu.max", "400000 100000\n"}),
             4);
    CHECK_EQ(CPUS(CGROUP("0::/a\n"), MOUNTS(V2_MOUNT), {"cgroup/cpu.max", "500000 100000\n"},
                  {"cgroup/a/cpu.max", "700000 100000\n"}),
             5);
    CHECK_EQ(CPUS(CGROUP("3:cpuacct,cpu:/a/b\n"), MOUNTS(V1_MOUNT), V1_QUOTA("/a", "200000\n"),
                  V1_QUOTA("/a/b", "-1\n")),
             2);
}

TEST(siblings_and_descendants_do_not_count)
{
    CHECK_EQ(CPUS(CGROUP("0::/a\n"), MOUNTS(V2_MOUNT), {"cgroup/a/cpu.max", "700000 100000\n"},
                  {"cgroup/a/b/cpu.max", "100000 100000\n"},
                  {"cgroup/ab/cpu.max", "100000 100000\n"}),
             7);
}

TEST(v1)
{
    CHECK_EQ(CPUS(CGROUP("9:cpuset:/x\n4:cpu,cpuacct:/app\n"), MOUNTS(NO_CPU_MOUNTS V1_MOUNT),
                  V1_QUOTA("/app", "250000\n"), V1_QUOTA("/x", "100000\n")),
             3);
    CHECK_EQ(CPUS(CGROUP("4:cpu,cpuacct:/app\n"), MOUNTS(V1_MOUNT), V1_QUOTA("/app", "-1\n")),
             AFFINITY);
    CHECK_EQ(CPUS(CGROUP("4:cpu,cpuacct:/app\n"), MOUNTS(V1_MOUNT),
                  {"cgroup/cpu,cpuacct/app/cpu.cfs_quota_us", "100000\n"}),
             AFFINITY);
}

/* Without a cgroup namespace a container sees its own cgroup mounted, and the host's name for it.
 */
TEST(mount_of_the_own_cgroup)
{
    CHECK_EQ(CPUS(CGROUP("4:cpu,cpuacct:/docker/1234\n"),
                  MOUNTS(MOUNT("/docker/1234", "/sys/fs/cgroup/cpu,cpuacct",
                               "cgroup cgroup rw,cpu,cpuacct")),
                  V1_QUOTA("", "200000\n")),
             2);
    CHECK_EQ(CPUS(CGROUP("0::/docker/1234/inner\n"),
                  MOUNTS(MOUNT("/docker/1234", "/sys/fs/cgroup", "cgroup2 cgroup2 rw")),
                  {"cgroup/cpu.max", "500000 100000\n"},
                  {"cgroup/inner/cpu.max", "300000 100000\n"}),
             3);
}

TEST(cgroup_namespace)
{
    CHECK_EQ(CPUS(CGROUP("0::/\n"), MOUNTS(V2_MOUNT), {"cgroup/cpu.max", "400000 100000\n"}), 4);
    /* Mounted outside of the namespace: where below the mount the process is, cannot be known. */
    CHECK_EQ(CPUS(CGROUP("0::/\n"), MOUNTS(MOUNT("/../..", "/sys/fs/cgroup", "cgroup2 cgroup2 rw")),
                  {"cgroup/cpu.max", "400000 100000\n"}),
             AFFINITY);
    /* The process is outside; the path must not lead out of the mount. */
    CHECK_EQ(CPUS(CGROUP("0::/../app\n"), MOUNTS(V2_MOUNT), {"cgroup/a", ""},
                  {"app/cpu.max", "400000 100000\n"}),
             AFFINITY);
    CHECK_EQ(CPUS(CGROUP("0::/../app\n"),
                  MOUNTS(MOUNT("/..", "/sys/fs/cgroup", "cgroup2 cgroup2 rw")),
                  {"cgroup/app/cpu.max", "400000 100000\n"}),
             4);
    /* Dots that are part of a name. */
    CHECK_EQ(
        CPUS(CGROUP("0::/..app\n"), MOUNTS(V2_MOUNT), {"cgroup/..app/cpu.max", "400000 100000\n"}),
        4);
}

TEST(mount_that_does_not_show_the_cgroup)
{
    CHECK_EQ(CPUS(CGROUP("0::/docker\n"),
                  MOUNTS(MOUNT("/doc", "/sys/fs/cgroup", "cgroup2 cgroup2 rw")),
                  {"cgroup/ker/cpu.max", "400000 100000\n"}, {"cgroup/cpu.max", "400000 100000\n"}),
             AFFINITY);
    /* Of two mounts the right one is found. */
    CHECK_EQ(CPUS(CGROUP("0::/docker/x\n"),
                  MOUNTS(MOUNT("/other", "/sys/fs/cgroup/one", "cgroup2 cgroup2 rw")
                             MOUNT("/docker", "/sys/fs/cgroup/two", "cgroup2 cgroup2 rw")),
                  {"cgroup/one/cpu.max", "200000 100000\n"},
                  {"cgroup/one/x/cpu.max", "300000 100000\n"},
                  {"cgroup/two/x/cpu.max", "400000 100000\n"}),
             4);
}

TEST(hybrid)
{
    const char *v1_path = "4:cpu,cpuacct:/app\n0::/\n";
    const char *unified = V1_MOUNT MOUNT("/", "/sys/fs/cgroup/unified", "cgroup2 cgroup2 rw");
    /* The controller is v1's, v2 is mounted and has none. */
    CHECK_EQ(CPUS(CGROUP(v1_path), MOUNTS(unified), V1_QUOTA("/app", "300000\n"),
                  {"cgroup/unified/cgroup.procs", "1\n"}),
             3);
    /* The other way round. */
    CHECK_EQ(CPUS(CGROUP("4:memory:/m\n0::/app\n"), MOUNTS(unified),
                  {"cgroup/unified/app/cpu.max", "200000 100000\n"}),
             2);
    CHECK_EQ(CPUS(CGROUP("4:cpu,cpuacct:/app\n0::/app\n"), MOUNTS(unified),
                  V1_QUOTA("/app", "300000\n"), {"cgroup/unified/app/cpu.max", "200000 100000\n"}),
             2);
}

TEST(removed_cgroup)
{
    CHECK_EQ(CPUS(CGROUP("0::/a/gone (deleted)\n"), MOUNTS(V2_MOUNT),
                  {"cgroup/a/cpu.max", "200000 100000\n"}),
             2);
}

TEST(unusual_places)
{
    CHECK_EQ(CPUS(CGROUP("0::/app\n"), MOUNTS(MOUNT("/", "@/elsewhere", "cgroup2 none rw")),
                  {"elsewhere/app/cpu.max", "200000 100000\n"}),
             2);
    CHECK_EQ(CPUS(CGROUP("0::/a:b c\n"),
                  MOUNTS(MOUNT("/", "/sys/fs/cgroup/odd\\040\\134name", "cgroup2 none rw")),
                  {"cgroup/odd \\name/a:b c/cpu.max", "200000 100000\n"}),
             2);
    CHECK_EQ(CPUS(CGROUP("0::/app\n"), MOUNTS(MOUNT("/", "/sys/fs/cgroupfs", "cgroup2 none rw")),
                  {"cgroup/app/cpu.max", "200000 100000\n"},
                  {"cgroupfs/app/cpu.max", "200000 100000\n"}),
             AFFINITY);
}

TEST(malformed_quotas)
{
    static const char *const quotas[] = {
        "",
        "\n",
        "100000",
        "100000\n",
        "max",
        "garbage\n",
        "100000 0\n",
        "-5 100000\n",
        "0 100000\n",
        "1e5 100000\n",
        " ",
        "100000 -1",
        "100000 100 5",
        "100000 100000x",
        "max max",
        "0x10 100",
        "100000\t100000",
    };
    for (size_t i = 0; i < sizeof quotas / sizeof quotas[0]; i++) {
        int count = CPUS(CGROUP("0::/app\n"), MOUNTS(V2_MOUNT), {"cgroup/app/cpu.max", quotas[i]});
        if (count != AFFINITY && strchr(quotas[i], '\t') == NULL)
            FAIL("\"%s\" counts as a quota of %d CPUs", quotas[i], count);
    }
    CHECK_EQ(CPUS(CGROUP("0::/app\n"), MOUNTS(V2_MOUNT),
                  {"cgroup/app/cpu.max", "99999999999999999999999 1\n"}),
             AFFINITY);
    CHECK_EQ(CPUS(CGROUP("0::/app\n"), MOUNTS(V2_MOUNT),
                  {"cgroup/app/cpu.max", "9223372036854775807 9223372036854775807\n"}),
             1);
}

TEST(malformed_lists)
{
    CHECK_EQ(CPUS(CGROUP("\n:\n::\n0:\n0::\n0::relative\n1::/app\nnonsense\n0::/app"),
                  MOUNTS("\n \n- - -\n30 23\n30 23 0:26 / /sys/fs/cgroup rw\n"
                         "30 23 0:26 / /sys/fs/cgroup rw - cgroup2\n"
                         "30 23 0:26 / relative rw - cgroup2 none rw\n"
                         "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 none rw"),
                  {"cgroup/app/cpu.max", "200000 100000\n"}),
             2);
    CHECK_EQ(CPUS(CGROUP("0::/app\n"), {"cgroup/app/cpu.max", "200000 100000\n"}), AFFINITY);
    CHECK_EQ(CPUS(MOUNTS(V2_MOUNT), {"cgroup/cpu.max", "200000 100000\n"}), AFFINITY);
}

/* A mountinfo with so many lines, of the length given, before the one that matters. */
static char *long_mounts(int lines, int length)
{
    const char *begin = "40 27 0:50 / /o rw - overlay o rw,";
    size_t begin_length = strlen(begin);
    char *text = malloc((size_t)lines * (size_t)(length + 1) + sizeof V2_MOUNT);
    CHECK(text != NULL);
    char *at = text;
    for (int i = 0; i < lines; i++, at += length + 1) {
        memset(at, 'x', (size_t)length);
        memcpy(at, begin, begin_length);
        at[length] = '\n';
    }
    strcpy(at, V2_MOUNT);
    return text;
}

TEST(long_mountinfo)
{
    static const int shapes[][2] = {{2000, 100},   {1, 50000},  {3, 5000}, {1, 4094},
                                    {1, 4095},     {1, 4096},   {1, 4097}, {2, 8190},
                                    {1, 4096 * 3}, {500, 4095}, {4096, 63}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        char *mounts = long_mounts(shapes[i][0], shapes[i][1]);
        int count =
            CPUS(CGROUP("0::/app\n"), MOUNTS(mounts), {"cgroup/app/cpu.max", "200000 100000\n"});
        free(mounts);
        if (count != 2)
            FAIL("%d lines of %d: %d", shapes[i][0], shapes[i][1], count);
    }
}

/* The rest of a line that is too long is not another line. */
TEST(end_of_a_long_line)
{
    static const char trap[] = MOUNT("/", "/sys/fs/cgroup/trap", "cgroup2 cgroup2 rw");
    for (size_t length = 4000; length < 4200; length++) {
        char mounts[4200 + sizeof trap + sizeof V2_MOUNT];
        memset(mounts, 'x', length);
        memcpy(mounts, "40 27 0:50 not/a/root ", strlen("40 27 0:50 not/a/root "));
        snprintf(mounts + length, sizeof mounts - length, "%s%s", trap, V2_MOUNT);
        CHECK_EQ(CPUS(CGROUP("0::/app\n"), MOUNTS(mounts),
                      {"cgroup/app/cpu.max", "200000 100000\n"},
                      {"cgroup/trap/app/cpu.max", "100000 100000\n"}),
                 2);
    }
}

TEST(long_paths)
{
    static char name[PATH_MAX];
    char cgroup[PATH_MAX + 64];
    /* Every length about the buffer's; it must neither overflow nor be mistaken for another path.
     */
    for (size_t length = 1900; length < 2200; length++) {
        name[0] = '/';
        for (size_t i = 1; i < length; i++)
            name[i] = i % 200 == 0 ? '/' : 'n';
        name[length] = '\0';
        snprintf(cgroup, sizeof cgroup, "0::%s\n", name);
        CHECK_EQ(CPUS(CGROUP(cgroup), MOUNTS(V2_MOUNT)), AFFINITY);
    }
}

/* Bytes of a sound tree changed at random: any count is right that a count can be. */
TEST(random_damage)
{
    static const char alphabet[] = "0123456789/:- \n,.\\acgmpux\xff";
    for (int i = 0; i < 300; i++) {
        char cgroup[] = "4:cpu,cpuacct:/app\n0::/app/b\n";
        char mounts[] = V1_MOUNT V2_MOUNT;
        char quota[] = "200000 100000\n";
        char *const texts[] = {cgroup, mounts, quota};
        for (uint64_t damage = test_random_below(12); damage > 0; damage--) {
            char *text = texts[test_random_below(3)];
            text[test_random_below(strlen(text))] =
                alphabet[test_random_below(sizeof alphabet - 1)];
        }
        int count = CPUS(CGROUP(cgroup), MOUNTS(mounts), {"cgroup/app/b/cpu.max", quota},
                         V1_QUOTA("/app", "300000\n"));
        CHECK_GE(count, 1);
        CHECK_LE(count, AFFINITY);
    }
}

TEST(this_machine)
{
    int count = wi_os_cpu_count();
    CHECK_GE(count, 1);
    CHECK_LE(count, sysconf(_SC_NPROCESSORS_CONF));
    CHECK_EQ(wi_os_cpu_count(), count);
}

TEST(this_machine_on_one_cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_EQ(wi_os_cpu_count(), 1);
}

/* A system that does not tell the affinity. */
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __real_syscall(long number, ...);
static long refused = -1;

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    if (number == refused) {
        errno = ENOSYS;
        return -1;
    }
    return __real_syscall(number, a, b, c, d, e, f);
}

TEST(affinity_unknown)
{
    refused = SYS_sched_getaffinity;
    int count = wi_os_cpu_count();
    CHECK_GE(count, 1);
    CHECK_LE(count, sysconf(_SC_NPROCESSORS_ONLN));
}
