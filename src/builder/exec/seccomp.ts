/**
 * The system calls that a container may make: an allow list equal in effect to Docker's default profile for a
 * container with the default capabilities (docs/decisions/system-calls-of-run.md). What reaches past the container is
 * refused: mounts, modules, keys, clocks, tracing of the kernel, io_uring. A call that is in neither list is newer than
 * them, and does not exist here: programs then do without it, where EPERM would end them. Names that a machine or its
 * libseccomp does not know are skipped by the runtimes.
 */

export interface Seccomp {
  readonly defaultAction: string
  readonly defaultErrnoRet: number
  readonly architectures?: readonly string[]
  readonly syscalls: readonly SeccompRule[]
}

interface SeccompRule {
  readonly names: readonly string[]
  readonly action: string
  readonly errnoRet?: number
  readonly args?: readonly SeccompArgument[]
}

interface SeccompArgument {
  readonly index: number
  readonly value: number
  readonly valueTwo?: number
  readonly op: string
}

const EPERM = 1
const ENOSYS = 38

const FILES = `
  access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
  fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync
  fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate
  ftruncate64 futimesat getcwd getdents getdents64 getxattr getxattrat lchown lchown32 lgetxattr link linkat
  listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod
  mknodat name_to_handle_at newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read
  readahead readlink readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir sendfile sendfile64
  setxattr setxattrat splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range
  syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes vmsplice write writev
  chroot`

const EVENTS = `
  epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
  eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy
  io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit _newselect pipe pipe2 poll ppoll ppoll_time64
  pselect6 pselect6_time64 select signalfd signalfd4`

const SOCKETS = `
  accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64
  recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair`

const MEMORY = `
  brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap
  mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages`

const PROCESSES = `
  capget capset execve execveat exit exit_group fork getcpu getegid getegid32 geteuid geteuid32 getgid getgid32
  getgroups getgroups32 getpgid getpgrp getpid getppid getpriority getresgid getresgid32 getresuid getresuid32
  getrlimit get_robust_list getrusage getsid get_thread_area gettid getuid getuid32 ioprio_get ioprio_set kill
  landlock_add_rule landlock_create_ruleset landlock_restrict_self pause pidfd_open pidfd_send_signal prctl prlimit64
  process_mrelease process_vm_readv process_vm_writev ptrace restart_syscall rseq rt_sigaction rt_sigpending
  rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
  sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler
  sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam
  sched_setscheduler sched_yield seccomp setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups
  setgroups32 setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid
  setreuid32 setrlimit set_robust_list setsid set_thread_area set_tid_address setuid setuid32 sigaltstack
  sigprocmask sigreturn tgkill tkill ugetrlimit uretprobe vfork wait4 waitid waitpid`

const IPC = `
  futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake ipc mq_getsetattr mq_notify mq_open
  mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd
  semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget`

/** Reading clocks: setting them needs a capability that no container has. */
const TIME = `
  adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
  clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete
  timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
  timerfd_gettime64 timerfd_settime timerfd_settime64 times`

const SYSTEM = 'getrandom sysinfo uname'

/** Known, and not for containers: they answer that it is not permitted, as Docker's do. */
const REFUSED = `
  _sysctl acct add_key bdflush bpf clock_settime clock_settime64 create_module delete_module fanotify_init finit_module
  fsconfig fsmount fsopen fspick get_kernel_syms get_mempolicy idle init_module io_uring_enter io_uring_register
  io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie lsm_get_self_attr lsm_list_modules
  lsm_set_self_attr mbind migrate_pages mount mount_setattr move_mount move_pages nfsservctl nice oldfstat oldlstat
  oldolduname oldstat olduname open_by_handle_at open_tree open_tree_attr perf_event_open pidfd_getfd pivot_root
  process_madvise query_module quotactl quotactl_fd readdir reboot request_key set_mempolicy set_mempolicy_home_node
  setdomainname sethostname setns settimeofday sgetmask sigaction signal sigpending sigsuspend ssetmask stime swapoff
  swapon sysfs syslog umount umount2 unshare uselib userfaultfd ustat vhangup vm86 vm86old vserver`

const MACHINES: Readonly<Record<string, { architectures: readonly string[]; syscalls: string }>> = {
  x64: {
    // Not x32, which distributions switch off: libseccomp would take nearly twice as long at the start of each step.
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
    syscalls: 'arch_prctl modify_ldt',
  },
  arm64: {
    architectures: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
    syscalls: 'arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls',
  },
  ppc64: { architectures: ['SCMP_ARCH_PPC64LE'], syscalls: 'sync_file_range2 swapcontext' },
  s390x: {
    architectures: ['SCMP_ARCH_S390X', 'SCMP_ARCH_S390'],
    syscalls: 's390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr',
  },
  riscv64: { architectures: ['SCMP_ARCH_RISCV64'], syscalls: 'riscv_flush_icache riscv_hwprobe' },
}

const AF_VSOCK = 40
/** Put characters into what a terminal reads, and into what virtual consoles have selected. */
const TIOCSTI = 0x5412
const TIOCLINUX = 0x541c
/** CLONE_NEW* of all namespaces: making one needs a capability, or hands out capabilities in it. */
const CLONE_NAMESPACES = 0x7e020000
/** Linux, Linux32, both without address randomization, and the question what it is. */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff]

/** @param machine as `os.arch()` names it; of one that is not known, the processor's own calls are missing */
export function seccompProfile(machine: string): Seccomp {
  const { architectures, syscalls } = MACHINES[machine] ?? { architectures: [], syscalls: '' }
  const always = [FILES, EVENTS, SOCKETS, MEMORY, PROCESSES, IPC, TIME, SYSTEM, syscalls].join(' ')
  const cloneFlags = machine === 's390x' ? 1 : 0
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: ENOSYS,
    // None: the one of the runtime.
    ...(architectures.length > 0 && { architectures }),
    syscalls: [
      allow(words(always)),
      refuse(words(REFUSED)),
      ...PERSONALITIES.map(value => allow(['personality'], { index: 0, value, op: 'SCMP_CMP_EQ' })),
      // Sockets of virtual machines reach the host, past network namespaces.
      ...allowAllBut('socket', 0, [AF_VSOCK]),
      // A terminal that is ours would type for us.
      ...allowAllBut('ioctl', 1, [TIOCSTI, TIOCLINUX]),
      allow(['clone'], masked(cloneFlags, CLONE_NAMESPACES, 0)),
      ...bits(CLONE_NAMESPACES).map(bit => refuse(['clone'], masked(cloneFlags, bit, bit))),
      // Its flags lie in memory, where no filter sees them: callers fall back to `clone` only for ENOSYS.
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
    ],
  }
}

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/).sort()
}

function allow(names: readonly string[], argument?: SeccompArgument): SeccompRule {
  return { names, action: 'SCMP_ACT_ALLOW', ...(argument && { args: [argument] }) }
}

function refuse(names: readonly string[], argument?: SeccompArgument): SeccompRule {
  return { names, action: 'SCMP_ACT_ERRNO', errnoRet: EPERM, ...(argument && { args: [argument] }) }
}

/** Of the argument, the bits of the mask are those of the value. */
function masked(index: number, mask: number, value: number): SeccompArgument {
  return { index, value: mask, valueTwo: value, op: 'SCMP_CMP_MASKED_EQ' }
}

const WORD = 0xffffffff

/**
 * Filters compare 64 bits, and the kernel takes 32 of an `int`: "not equal" lets through whoever sets a higher bit. So
 * an argument is allowed by the first of its low 32 bits, from the top, at which it leaves all refused values.
 */
function allowAllBut(name: string, index: number, refused: readonly number[]): readonly SeccompRule[] {
  const rules = refused.map(value => refuse([name], masked(index, WORD, value)))
  const visit = (values: readonly number[], bit: number): void => {
    if (bit < 0) return
    const mask = (WORD << bit) >>> 0
    const [first = 0] = values
    const above = bit === 31 ? 0 : (first & (WORD << (bit + 1))) >>> 0
    for (const prefix of [above, (above | (1 << bit)) >>> 0]) {
      const inside = values.filter(value => (value & mask) >>> 0 === prefix)
      if (inside.length === 0) rules.push(allow([name], masked(index, mask, prefix)))
      else visit(inside, bit - 1)
    }
  }
  visit(refused, 31)
  return rules
}

function bits(mask: number): readonly number[] {
  return Array.from({ length: 32 }, (_, bit) => (1 << bit) >>> 0).filter(bit => (mask & bit) !== 0)
}
