/** What a process does to itself before it becomes another program, called in libc through FFI. */
import { LinuxError } from './errors.ts'

export interface ProcessCalls {
  /** Makes a directory the root of this process; the working directory stays where it is. */
  chroot(path: string): void
  /** Orphans among the descendants become children of this process. */
  adoptOrphans(): void
  /** This process is killed when its parent ends; kept over exec, undone by a change of user. */
  endWithParent(): void
  /** Takes from this process and all its descendants the capabilities that are not named, by their numbers. */
  limitCapabilities(kept: readonly number[]): void
  /** @param resource of `RESOURCES` */
  setLimit(resource: number, soft: bigint, hard: bigint): void
  /**
   * Becomes another program, with the standard streams of this one and no other open file, and every signal as a new
   * process has it. Returns only by throwing.
   * @param env `NAME=value`
   */
  execve(path: string, args: readonly string[], env: readonly string[]): void
}

/** By the names of `ulimit` options, as the kernel numbers them (`asm-generic/resource.h`). */
export const RESOURCES: Readonly<Record<string, number>> = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
}

export const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn

const PR_SET_PDEATHSIG = 1
const PR_CAPBSET_READ = 23
const PR_CAPBSET_DROP = 24
const PR_SET_CHILD_SUBREAPER = 36
const PR_CAP_AMBIENT = 47
const PR_CAP_AMBIENT_CLEAR_ALL = 4
const CAPABILITY_VERSION_3 = 0x20080522
const LAST_CAPABILITY = 63
const SIGKILL = 9
const LAST_SIGNAL = 64
const F_SETFD = 2

export async function loadProcessCalls(): Promise<ProcessCalls> {
  const { default: koffi } = await import('koffi')
  const libc = koffi.load('libc.so.6')
  const calls = {
    chroot: libc.func('int chroot(const char *path)'),
    prctl: libc.func('int prctl(int option, ulong a, ulong b, ulong c, ulong d)'),
    capget: libc.func('int capget(void *header, void *data)'),
    capset: libc.func('int capset(const void *header, const void *data)'),
    setrlimit: libc.func('int setrlimit(int resource, const void *limit)'),
    signal: libc.func('void *signal(int number, void *handler)'),
    fcntl: libc.func('int fcntl(int fd, int command, int argument)'),
    execve: libc.func('int execve(const char *path, const char **argv, const char **envp)'),
  }

  function check(outcome: number, name: string, subject: string): number {
    if (outcome === -1) throw new LinuxError(name, koffi.errno(), subject)
    return outcome
  }
  const prctl = (option: number, argument: number): number => calls.prctl(option, argument, 0, 0, 0)

  return {
    chroot: path => void check(calls.chroot(path), 'chroot', path),
    adoptOrphans: () => void check(prctl(PR_SET_CHILD_SUBREAPER, 1), 'prctl', 'subreaper'),
    endWithParent: () => void check(prctl(PR_SET_PDEATHSIG, SIGKILL), 'prctl', 'death signal'),
    limitCapabilities(kept) {
      for (let capability = 0; capability <= LAST_CAPABILITY; capability++)
        if (!kept.includes(capability) && prctl(PR_CAPBSET_READ, capability) === 1)
          check(prctl(PR_CAPBSET_DROP, capability), 'prctl', `capability ${capability}`)
      prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
      // The inheritable ones could come back through the capabilities of a file.
      const header = Buffer.alloc(8)
      header.writeUInt32LE(CAPABILITY_VERSION_3, 0)
      const data = Buffer.alloc(24)
      check(calls.capget(header, data), 'capget', 'this process')
      data.writeUInt32LE(0, 8)
      data.writeUInt32LE(0, 20)
      check(calls.capset(header, data), 'capset', 'this process')
    },
    setLimit(resource, soft, hard) {
      const limit = Buffer.alloc(16)
      limit.writeBigUInt64LE(soft, 0)
      limit.writeBigUInt64LE(hard, 8)
      check(calls.setrlimit(resource, limit), 'setrlimit', `${resource}`)
    },
    execve(path, args, env) {
      for (let number = 1; number <= LAST_SIGNAL; number++) calls.signal(number, null)
      for (const fd of [0, 1, 2]) calls.fcntl(fd, F_SETFD, 0)
      check(calls.execve(path, [...args, null], [...env, null]), 'execve', path)
    },
  }
}
