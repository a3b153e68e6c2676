/**
 * Becomes a step of `--isolation=chroot`. Its plan comes on descriptor 3; what keeps it from starting goes back there.
 * Nothing of the root filesystem is trusted: after chroot(2) no module is loaded any more.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import type { LaunchPlan } from '../../builder/exec/chroot-plan.ts'
import { isLinuxError } from '../../linux/errors.ts'
import { loadProcessCalls, type ProcessCalls, RESOURCES, RLIM_INFINITY } from '../../linux/process-calls.ts'

const CHANNEL = 3
const UMASK = 0o022
const MAX_PASSWD_BYTES = 1024 * 1024
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

void launch()

async function launch(): Promise<void> {
  const calls = await loadProcessCalls()
  try {
    become(calls, JSON.parse(readFileSync(CHANNEL, 'utf8')))
  } catch (error) {
    writeSync(CHANNEL, error instanceof Error ? error.message : String(error))
    process.exit(1)
  }
}

function become(calls: ProcessCalls, plan: LaunchPlan): void {
  const { root, args, env, cwd, user, capabilities, ulimits } = plan
  for (const { name, soft, hard } of ulimits) calls.setLimit(RESOURCES[name] ?? -1, limit(soft), limit(hard))
  const changesGroups = mayChangeGroups()
  calls.chroot(root)
  process.chdir('/')
  const home = env.some(variable => variable.startsWith('HOME=')) ? [] : [`HOME=${homeOf(user.uid)}`]
  if (capabilities !== undefined) calls.limitCapabilities(capabilities)
  process.umask(UMASK)
  if (changesGroups) process.setgroups?.([...user.additionalGids])
  process.setgid?.(user.gid)
  process.setuid?.(user.uid)
  calls.endWithParent()
  process.chdir(cwd)
  execute(calls, args, [...env, ...home])
}

/** A namespace of a single id keeps the groups of who made it (`user_namespaces(7)`); runtimes leave them there, too. */
function mayChangeGroups(): boolean {
  return readFileSync('/proc/self/setgroups', 'latin1').trim() !== 'deny'
}

function limit(value: number | undefined): bigint {
  return value === undefined ? RLIM_INFINITY : BigInt(value)
}

/** As a shell looks for a command, in the PATH of the step. */
function execute(calls: ProcessCalls, args: readonly string[], env: readonly string[]): void {
  const [command = ''] = args
  const path = env.findLast(variable => variable.startsWith('PATH='))?.slice('PATH='.length) ?? DEFAULT_PATH
  const candidates = command.includes('/')
    ? [command]
    : path.split(':').map(directory => `${directory || '.'}/${command}`)
  let denied: unknown
  for (const candidate of candidates) {
    try {
      calls.execve(candidate, args, env)
    } catch (error) {
      if (command.includes('/') || !isLinuxError(error, 'ENOENT', 'ENOTDIR', 'EACCES')) throw error
      if (error.code === 'EACCES') denied ??= error
    }
  }
  throw denied ?? new Error(`exec: ${JSON.stringify(command)}: executable file not found in $PATH`)
}

/** Of the root filesystem, which may hold anything under this name. */
function homeOf(uid: number): string {
  const lines = readPasswd().split('\n')
  const fields = lines.map(line => line.split(':')).find(([, , id]) => id === String(uid))
  return fields?.[5] || '/'
}

function readPasswd(): string {
  let file: number
  try {
    file = openSync('/etc/passwd', constants.O_RDONLY | constants.O_NONBLOCK)
  } catch {
    // Without such a file, as runtimes do: no home.
    return ''
  }
  try {
    const stats = fstatSync(file)
    if (!stats.isFile()) return ''
    const content = Buffer.alloc(Math.min(stats.size, MAX_PASSWD_BYTES))
    return content.toString('latin1', 0, readSync(file, content))
  } finally {
    closeSync(file)
  }
}
