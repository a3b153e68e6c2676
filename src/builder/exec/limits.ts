/** What containers of a build may use; the machine's own limits, and Docker's for /dev/shm, where nothing is said. */
export interface ContainerLimits {
  /** Of /dev/shm, in bytes. */
  readonly shmSize?: number
  readonly ulimits: readonly Ulimit[]
  /** Absolute path in the hierarchy of control groups. */
  readonly cgroupParent?: string
  readonly memory?: MemoryLimits
  readonly cpu?: CpuLimits
  /** Processes and threads at one time; 0 for no limit. By default as many as a build has use for. */
  readonly pids?: number
}

/** What a step may take before it is ended. */
export interface StepLimits extends ContainerLimits {
  readonly timeoutMs?: number
  /** Of its layer, in bytes before compression. */
  readonly layerBytes?: number
}

/** More than builds have use for, and less than brings a machine down. */
export const DEFAULT_PIDS = 4096

/** As `setrlimit(2)` takes it; a limit that is absent is none. */
export interface Ulimit {
  /** `nofile` */
  readonly name: string
  readonly soft?: number
  readonly hard?: number
}

/** As the runtime takes them (runtime-spec `config-linux.md#memory`). */
export interface MemoryLimits {
  /** In bytes. */
  readonly limit?: number
  /** Memory and swap together, in bytes; -1 for no limit. */
  readonly swap?: number
}

/** As the runtime takes them (runtime-spec `config-linux.md#cpu`). */
export interface CpuLimits {
  /** In microseconds. */
  readonly period?: number
  /** In microseconds of a period. */
  readonly quota?: number
  /** Weight against others. */
  readonly shares?: number
  /** `0-3,7` */
  readonly cpus?: string
  readonly mems?: string
}

export const NO_LIMITS: ContainerLimits = { ulimits: [] }

/** For a step that was not started. @param problem in the words of who would have started it */
export function limitHint(problem: string): { readonly hint?: string } {
  if (!problem.includes('rlimit')) return {}
  return {
    hint: '--ulimit asks for more than this machine gives to who builds: ulimit -Ha tells how much that is',
  }
}
