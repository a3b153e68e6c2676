/** What steps may use of the machine, and what they may ask for that takes walls away. */
import type { BuildOptions } from '../../builder/build-options.ts'
import { parseDuration } from '../../builder/dockerfile/duration.ts'
import type { ContainerLimits, StepLimits, Ulimit } from '../../builder/exec/limits.ts'
import { ENTITLEMENTS, type Entitlement } from '../../builder/plan/entitlements.ts'
import type { Arguments } from '../arguments.ts'
import type { OptionSpecs, Refuse } from '../command.ts'
import { parseSize } from './size.ts'

export const LIMIT_OPTIONS: OptionSpecs = {
  allow: {
    value: ENTITLEMENTS.join('|'),
    repeated: true,
    help: 'What RUN may ask for',
  },
  'shm-size': { value: 'BYTES', help: 'Size of /dev/shm of RUN (default 64m)' },
  ulimit: { value: 'NAME=SOFT[:HARD]', repeated: true, help: 'Limit of RUN, such as nofile=1024:4096' },
  'cgroup-parent': { value: 'PATH', help: 'The control group above those of RUN' },
  resource: {
    value: 'KEY=VALUE',
    repeated: true,
    help: 'The same as --memory 2g and so on: memory=2g, cpu-quota=50000',
  },
  memory: { value: 'BYTES', short: 'm', help: 'Memory of each RUN' },
  'memory-swap': { value: 'BYTES', help: 'Memory and swap of each RUN together; -1 for no limit' },
  cpus: { value: 'NUMBER', help: 'Processors of each RUN, such as 1.5: the quota of a period' },
  'cpu-period': { value: 'MICROSECONDS', help: 'Period of the quota of each RUN' },
  'cpu-quota': { value: 'MICROSECONDS', help: 'Time of processors in a period' },
  'cpu-shares': { value: 'WEIGHT', short: 'c', help: 'Weight of each RUN against others' },
  'cpuset-cpus': { value: 'LIST', help: 'Processors of RUN, such as 0-3' },
  'cpuset-mems': { value: 'LIST', help: 'Memory nodes of RUN' },
  'pids-limit': {
    value: 'NUMBER',
    help: 'Processes of each RUN at one time (default 4096); -1 for no limit',
  },
  timeout: { value: 'DURATION', help: 'End a RUN that takes longer, such as 90s or 1h30m' },
  'max-layer-size': { value: 'BYTES', help: 'End a step whose layer becomes larger, such as 2g' },
}

export function readLimitOptions(args: Arguments, refuse: Refuse): Pick<BuildOptions, 'allow' | 'limits'> {
  const shmSize = sizeOf(args.value('shm-size'), '--shm-size', refuse)
  const cgroupParent = readCgroupParent(args.value('cgroup-parent'), refuse)
  const pids = readPidsLimit(args.value('pids-limit'), refuse)
  return {
    allow: readAllowed(args, refuse),
    limits: {
      ...(shmSize !== undefined && { shmSize }),
      ulimits: readUlimits(args.values('ulimit'), refuse),
      ...(cgroupParent !== undefined && { cgroupParent }),
      ...readResources(args, refuse),
      ...(pids !== undefined && { pids }),
      ...readStepLimits(args, refuse),
    },
  }
}

/** Who gives all steps the network of this machine lets them ask for it, too. */
function readAllowed(args: Arguments, refuse: Refuse): ReadonlySet<Entitlement> {
  const named = args.values('allow').map(name => readEntitlement(name, refuse))
  return new Set(args.value('network') === 'host' ? [...named, 'network.host'] : named)
}

function readPidsLimit(given: string | undefined, refuse: Refuse): number | undefined {
  if (given === undefined) return undefined
  if (given === '-1' || given === '0') return 0
  return numberOf(given, 'pids-limit', refuse)
}

const NANOSECONDS_PER_MS = 1e6
/** Of timers: more than three weeks. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

function readStepLimits(args: Arguments, refuse: Refuse): Pick<StepLimits, 'timeoutMs' | 'layerBytes'> {
  const layerBytes = sizeOf(args.value('max-layer-size'), '--max-layer-size', refuse)
  const given = args.value('timeout')
  const timeoutMs = Math.ceil((parseDuration(given ?? '0') ?? Number.NaN) / NANOSECONDS_PER_MS)
  if (given !== undefined && !(timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS))
    throw refuse(`--timeout is a duration such as 90s or 1h30m, not ${JSON.stringify(given)}`)
  return {
    ...(given !== undefined && { timeoutMs }),
    ...(layerBytes !== undefined && { layerBytes }),
  }
}

function readEntitlement(name: string, refuse: Refuse): Entitlement {
  const known = ENTITLEMENTS.find(entitlement => entitlement === name)
  if (known !== undefined) return known
  if (name.split('=')[0] === 'device')
    throw refuse('--allow device: RUN --device is not supported, as it needs the CDI registry of a daemon')
  throw refuse(`--allow is ${ENTITLEMENTS.join(' or ')}, not ${JSON.stringify(name)}`)
}

/** The kernel's resource limits (`setrlimit(2)`), as Docker names them. */
const ULIMITS: readonly string[] = [
  'as',
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
]

/** By name; the last of a name counts. */
function readUlimits(given: readonly string[], refuse: Refuse): readonly Ulimit[] {
  const found = new Map(
    given.map(text => {
      const ulimit = readUlimit(text, refuse)
      return [ulimit.name, ulimit]
    }),
  )
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function readUlimit(text: string, refuse: Refuse): Ulimit {
  const [, name, soft = '', hard = soft] = /^([a-z]+)=(-1|\d{1,15})(?::(-1|\d{1,15}))?$/.exec(text) ?? []
  if (name === undefined)
    throw refuse(`--ulimit ${JSON.stringify(text)} is not NAME=SOFT[:HARD] with numbers, -1 for no limit`)
  if (!ULIMITS.includes(name)) throw refuse(`--ulimit ${name}: there is no such limit`)
  const limit = (value: string): number | undefined => (value === '-1' ? undefined : Number(value))
  const [softLimit, hardLimit] = [limit(soft), limit(hard)]
  if ((softLimit ?? Infinity) > (hardLimit ?? Infinity))
    throw refuse(`--ulimit ${text}: the soft limit is above the hard one`)
  return {
    name,
    ...(softLimit !== undefined && { soft: softLimit }),
    ...(hardLimit !== undefined && { hard: hardLimit }),
  }
}

function readCgroupParent(given: string | undefined, refuse: Refuse): string | undefined {
  if (given === undefined) return undefined
  const parts = given.split('/').filter(Boolean)
  if (parts.length === 0 || parts.some(part => part === '.' || part === '..'))
    throw refuse(`--cgroup-parent ${JSON.stringify(given)} is not a path in the hierarchy of control groups`)
  return `/${parts.join('/')}`
}

const RESOURCES = [
  'memory',
  'memory-swap',
  'cpus',
  'cpu-period',
  'cpu-quota',
  'cpu-shares',
  'cpuset-cpus',
  'cpuset-mems',
] as const

/** `--resource KEY=VALUE` is `--KEY VALUE`. */
function readResources(args: Arguments, refuse: Refuse): Pick<ContainerLimits, 'memory' | 'cpu'> {
  const given = new Map(
    args.values('resource').map(text => {
      const [, key = '', value = ''] = /^([a-z-]+)=(.+)$/.exec(text) ?? []
      if (!RESOURCES.some(known => known === key))
        throw refuse(`--resource ${JSON.stringify(text)} is not KEY=VALUE with ${RESOURCES.join(', ')}`)
      return [key, value] as const
    }),
  )
  const value = (key: (typeof RESOURCES)[number]): string | undefined => args.value(key) ?? given.get(key)
  const limit = sizeOf(value('memory'), '--memory', refuse)
  const swap = value('memory-swap') === '-1' ? -1 : sizeOf(value('memory-swap'), '--memory-swap', refuse)
  if (swap !== undefined && swap !== -1 && (limit === undefined || swap < limit))
    throw refuse('--memory-swap counts memory too: it needs --memory, and cannot be less')
  const memory = { ...(limit !== undefined && { limit }), ...(swap !== undefined && { swap }) }
  const number = (key: 'cpu-period' | 'cpu-quota' | 'cpu-shares'): number | undefined =>
    numberOf(value(key), key, refuse)
  const [period, shares] = [number('cpu-period'), number('cpu-shares')]
  const quota = number('cpu-quota') ?? quotaOf(value('cpus'), period, refuse)
  if (value('cpus') !== undefined && value('cpu-quota') !== undefined)
    throw refuse('--cpus and --cpu-quota say the same: give one of them')
  const [cpus, mems] = [listOf(value('cpuset-cpus'), refuse), listOf(value('cpuset-mems'), refuse)]
  const cpu = {
    ...(period !== undefined && { period }),
    ...(quota !== undefined && { quota }),
    ...(shares !== undefined && { shares }),
    ...(cpus !== undefined && { cpus }),
    ...(mems !== undefined && { mems }),
  }
  return {
    ...(Object.keys(memory).length > 0 && { memory }),
    ...(Object.keys(cpu).length > 0 && { cpu }),
  }
}

function sizeOf(given: string | undefined, option: string, refuse: Refuse): number | undefined {
  if (given === undefined) return undefined
  const size = parseSize(given)
  if (size === undefined || size === 0)
    throw refuse(`${option} is a number of bytes such as 512m or 2g, not ${JSON.stringify(given)}`)
  return size
}

/** The kernel's own, in microseconds. */
const DEFAULT_PERIOD = 100_000

/** Microseconds of a period that so many processors have. */
function quotaOf(cpus: string | undefined, period = DEFAULT_PERIOD, refuse: Refuse): number | undefined {
  if (cpus === undefined) return undefined
  const number = /^\d{1,5}(\.\d{1,9})?$/.test(cpus) ? Number(cpus) : 0
  const quota = Math.round(number * period)
  // The kernel takes no less than a millisecond.
  if (quota >= 1000) return quota
  throw refuse(`--cpus is a number of processors such as 1.5, not ${JSON.stringify(cpus)}`)
}

function numberOf(given: string | undefined, key: string, refuse: Refuse): number | undefined {
  if (given === undefined) return undefined
  if (/^\d{1,12}$/.test(given)) return Number(given)
  throw refuse(`--${key} is a number, not ${JSON.stringify(given)}`)
}

function listOf(given: string | undefined, refuse: Refuse): string | undefined {
  if (given === undefined || /^\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*$/.test(given)) return given
  throw refuse(`--cpuset-cpus and --cpuset-mems are lists such as 0-3,7, not ${JSON.stringify(given)}`)
}
