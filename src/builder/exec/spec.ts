import { isMapped } from '../../linux/id-map.ts'
import type { ContainerProcess } from './executor.ts'
import type { Host } from './host.ts'
import type { ContainerLimits } from './limits.ts'
import { seccompProfile } from './seccomp.ts'

/** A file of ours that the container sees, read-only. */
export interface FileMount {
  readonly source: string
  /** Absolute in the container, without symlinks. */
  readonly destination: string
}

/** As the runtime takes it: of type `bind` or `tmpfs`. */
export interface SpecMount {
  readonly destination: string
  readonly type: 'bind' | 'tmpfs'
  readonly source: string
  readonly options: readonly string[]
}

export interface SpecOptions {
  /** Absolute path of the mounted root filesystem. */
  readonly root: string
  readonly process: ContainerProcess
  readonly files: readonly FileMount[]
  /** Of the step, over all others. */
  readonly mounts: readonly SpecMount[]
  /** Absolute in the hierarchy of control groups; where we may make none, it stays in ours. */
  readonly cgroupsPath?: string
  readonly host: Host
}

/** Docker's default capabilities. */
export const DEFAULT_CAPABILITIES = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
]

const MASKED_PATHS = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
]

const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

/** Where the container's own file systems are mounted over those of the image. */
export const KERNEL_DIRECTORIES = ['/proc', '/dev', '/sys']

const SHM_BYTES = 64 * 1024 * 1024

const UMASK = 0o022

/**
 * The configuration of the container (runtime-spec `config.md`) in which a RUN step runs: Docker's walls, but the
 * network of the host unless the mode is `none` (then one of its own, with only the loopback device). A privileged
 * one has the namespaces, and none of the walls.
 */
export function runtimeSpec({ root, process, files, mounts, cgroupsPath, host }: SpecOptions): object {
  const { args, env, cwd, user, hostname, network, limits, isPrivileged } = process
  const { uid, gid, additionalGids } = user
  const { hasUnifiedCgroups } = host
  const namespaces = [
    'pid',
    'mount',
    'uts',
    'ipc',
    ...(hasUnifiedCgroups ? ['cgroup'] : []),
    ...(network === 'none' ? ['network'] : []),
  ]
  const capabilities = isPrivileged ? host.capabilities : DEFAULT_CAPABILITIES
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: process.isInteractive === true,
      user: { uid, gid, additionalGids, umask: UMASK },
      args,
      env,
      cwd,
      // Inherited by no program that is not root's (CVE-2022-24769).
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
        inheritable: [],
        ambient: [],
      },
      ...(limits.ulimits.length > 0 && { rlimits: limits.ulimits.map(rlimit) }),
      // sudo, su and ping of an image work; what they gain is within the bounding set (docs/security.md).
      noNewPrivileges: false,
      // A service that the kernel spares for its importance does not hand that on.
      oomScoreAdj: Math.max(0, host.outOfMemoryScore),
    },
    root: { path: root, readonly: false },
    hostname,
    mounts: [
      ...kernelMounts(process, host),
      ...(hasUnifiedCgroups ? [cgroupMount(isPrivileged)] : []),
      ...files.map(({ source, destination }) => ({
        destination,
        type: 'bind',
        source,
        options: ['bind', 'ro', 'nosuid', 'noexec', 'nodev'],
      })),
      ...mounts,
    ],
    linux: {
      namespaces: namespaces.map(type => ({ type })),
      // Neither sees what the other mounts.
      rootfsPropagation: 'rprivate',
      ...(cgroupsPath !== undefined && { cgroupsPath }),
      // The runtime allows its default devices on top, as well as making any node (not opening it).
      resources: {
        devices: [{ allow: isPrivileged, access: 'rwm' }],
        ...(limits.memory !== undefined && { memory: limits.memory }),
        ...(limits.cpu !== undefined && { cpu: limits.cpu }),
        ...(limits.pids !== undefined && limits.pids > 0 && { pids: { limit: limits.pids } }),
      },
      ...(!isPrivileged && {
        maskedPaths: [...MASKED_PATHS, ...host.thermalPaths, ...masksOfBoundSys(process, host)],
        readonlyPaths: READONLY_PATHS,
        seccomp: seccompProfile(host.machine),
      }),
    },
  }
}

function kernelMounts(process: ContainerProcess, host: Host): readonly object[] {
  const {
    limits: { shmSize = SHM_BYTES },
    isPrivileged,
  } = process
  const { idMaps } = host
  const access = isPrivileged ? 'rw' : 'ro'
  const hasTTYGroup = idMaps === undefined || isMapped(idMaps.gids, TTY_GROUP)
  const group = hasTTYGroup ? [`gid=${TTY_GROUP}`] : []
  return [
    sharesProc(host) ? bindMount('/proc', 'rw') : mount('/proc', 'proc', 'nosuid', 'noexec', 'nodev'),
    mount('/dev', 'tmpfs', 'nosuid', 'strictatime', 'mode=755', 'size=65536k'),
    mount('/dev/pts', 'devpts', 'nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', ...group),
    mount('/dev/shm', 'tmpfs', 'nosuid', 'noexec', 'nodev', 'mode=1777', `size=${shmSize}`),
    mount('/dev/mqueue', 'mqueue', 'nosuid', 'noexec', 'nodev'),
    bindsSys(process, host)
      ? bindMount('/sys', access)
      : mount('/sys', 'sysfs', 'nosuid', 'noexec', 'nodev', access),
  ]
}

/**
 * Whether a step gets the `/proc` of this machine (a container, then), with what is covered there: it sees the other
 * processes, and can do nothing to them.
 */
export function sharesProc({ idMaps, isProcCovered }: Host): boolean {
  return idMaps !== undefined && isProcCovered
}

/** Only who owns the network may mount a `/sys` anew. */
function bindsSys({ network }: ContainerProcess, { idMaps }: Host): boolean {
  return idMaps !== undefined && network !== 'none'
}

/** In the one of this machine, groups that the user may write are not read-only with it: its own processes are in them. */
function masksOfBoundSys(process: ContainerProcess, host: Host): readonly string[] {
  return bindsSys(process, host) && !host.hasUnifiedCgroups ? ['/sys/fs/cgroup'] : []
}

const TTY_GROUP = 5

/** Its own group is the root of what it sees: programs read there how much memory they may have. */
function cgroupMount(isPrivileged: boolean): object {
  return mount('/sys/fs/cgroup', 'cgroup', 'nosuid', 'noexec', 'nodev', isPrivileged ? 'rw' : 'ro')
}

/** Without a limit it is the greatest number that the kernel has (`RLIM_INFINITY`). */
function rlimit({ name, soft, hard }: ContainerLimits['ulimits'][number]): object {
  return { type: `RLIMIT_${name.toUpperCase()}`, soft: soft ?? UNLIMITED, hard: hard ?? UNLIMITED }
}

/** No number of JavaScript is it. TypeScript's library does not know the function yet. */
const UNLIMITED = (JSON as unknown as { rawJSON(text: string): object }).rawJSON('18446744073709551615')

/** With what is mounted below it. */
function bindMount(path: string, access: 'ro' | 'rw'): object {
  return {
    destination: path,
    type: 'bind',
    source: path,
    options: ['rbind', 'nosuid', 'noexec', 'nodev', access],
  }
}

function mount(destination: string, type: string, ...options: readonly string[]): object {
  return { destination, type, source: type, options }
}
