/** The network of `--network=default`: a namespace of the step's own, connected by a helper. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { BARE_ENVIRONMENT } from '../../linux/bare-environment.ts'
import { findProgram } from '../../linux/find-program.ts'
import { type Linux, MS_BIND } from '../../linux/linux.ts'
import { BuildError } from '../errors.ts'
import { unmountOrDetach } from '../snapshot/mounting.ts'
import type { ContainerProcess, ExecContext } from './executor.ts'
import { type NetworkOfFiles, readResolvConf } from './host-files.ts'
import { makePipe, type NetworkGate, openNetworkGate } from './network-gate.ts'
import { findNetworkHelpers, helperArguments, type NetworkHelper } from './network-helper.ts'
import { needsForwarding } from './resolver.ts'
import { addressOfMachine, chooseSubnet, type Subnet } from './subnet.ts'

/** What this machine does for steps that ask for no network of their own choice; found once. */
export interface StepNetwork {
  /** Best first; none where the machine itself has no network. Absent: steps get the network of the machine. */
  readonly helpers?: readonly NetworkHelper[]
  /** Why they do, as one tells a user. */
  readonly problem?: string
  readonly subnet: Subnet
  /** Where steps find this machine; its own loopback interface is not reached in a namespace. */
  readonly hostAddress: string | undefined
  readonly isRealRoot: boolean
}

const TUN_DEVICE = '/dev/net/tun'

/**
 * @param path where to look for helpers: directories separated by `:`
 * @param isRealRoot whether we are root, and of no user namespace
 */
export function openStepNetwork(path: string, isRealRoot: boolean): StepNetwork {
  const interfaces = networkInterfaces()
  const hostAddress = addressOfMachine(interfaces)
  const taken = Object.values(interfaces).flatMap(list => (list ?? []).map(({ address }) => address))
  const find = (name: string) => findProgram(name, path)
  const found = findNetworkHelpers({ find, isRealRoot, tunDevice: TUN_DEVICE })
  const common = { subnet: chooseSubnet(taken), hostAddress, isRealRoot }
  if (typeof found === 'string') return { ...common, problem: found }
  return { ...common, helpers: hostAddress === undefined ? [] : found }
}

/** Undefined for a process that gets another network than its own, connected. Disposed when the container is gone. */
export function openConnection(
  linux: Linux,
  network: StepNetwork,
  directory: string,
  process: Pick<ContainerProcess, 'network' | 'dns'>,
): (Connection & Disposable) | undefined {
  if (process.network !== 'default' || network.helpers === undefined) return undefined
  const forwardsNames = needsForwarding(readResolvConf(), process.dns)
  const gate = openNetworkGate(linux, directory)
  return { network, gate, directory, forwardsNames, [Symbol.dispose]: () => gate[Symbol.dispose]() }
}

const LOOPBACK = '127.0.0.1'

export function networkOfFiles(
  { hostAddress = LOOPBACK, subnet }: StepNetwork,
  process: Pick<ContainerProcess, 'network'>,
  connection: Connection | undefined,
): NetworkOfFiles {
  const isOfMachine = connection === undefined && process.network !== 'none'
  return {
    hostAddress: isOfMachine ? LOOPBACK : hostAddress,
    ...(connection?.forwardsNames === true && { forwarder: subnet.resolver }),
  }
}

export interface Connection {
  readonly network: StepNetwork
  readonly gate: NetworkGate
  /** In memory, of the step alone. */
  readonly directory: string
  readonly forwardsNames: boolean
}

type StepOfNetwork = Pick<ExecContext, 'signal' | 'note'>

/**
 * Connects the network of the container that waits at the gate, and lets it start. Disposing ends the helper.
 * @throws BuildError `run-failed` where no helper does it; the container does not start then
 */
async function connect(
  linux: Linux,
  connection: Connection,
  { signal, note }: StepOfNetwork,
): Promise<AsyncDisposable> {
  const { gate, directory, network } = connection
  const pid = await gate.waiting
  const namespace = `${directory}/network`
  const problems: string[] = []
  try {
    // Held by a name: that of the process is closed to helpers that have given up root's power to look into others.
    writeFileSync(namespace, '')
    linux.mount(`/proc/${pid}/ns/net`, namespace, 'none', MS_BIND, '')
    for (const [index, helper] of (network.helpers ?? []).entries()) {
      const ready = `${directory}/ready-${index}`
      const started = await startHelper(linux, helper, { ready, namespace, connection, signal })
      if (typeof started === 'string') {
        problems.push(`${helper.name}: ${started}`)
        continue
      }
      gate.answer(true)
      started.onEarlyEnd(how =>
        note?.(`network: ${helper.name} ended (${how}) while the step ran, which has none since then`),
      )
      return {
        async [Symbol.asyncDispose]() {
          await started[Symbol.asyncDispose]()
          unmountOrDetach(linux, namespace)
        },
      }
    }
    unmountOrDetach(linux, namespace)
  } catch (error) {
    gate.answer(false)
    throw error
  }
  if (problems.length === 0) {
    gate.answer(true)
    return { [Symbol.asyncDispose]: () => Promise.resolve() }
  }
  gate.answer(false)
  throw new BuildError('run-failed', `Cannot connect network of step: ${problems.join('; ')}`, {
    hint: '--network=host gives the step the network of this machine, --network=none does without',
  })
}

/**
 * Runs a container that waits at the gate for its network. The helper ends with it.
 * @throws BuildError `run-failed` where no helper works; what `run` throws
 */
export async function withConnection<T>(
  linux: Linux,
  connection: Connection,
  step: StepOfNetwork,
  run: () => Promise<T>,
): Promise<T> {
  const { signal } = step
  let isWaiting = false
  void connection.gate.waiting.then(
    () => {
      isWaiting = true
    },
    () => undefined,
  )
  const connecting = connect(linux, connection, step)
  const connected = connecting.catch(() => undefined)
  try {
    return await run()
  } catch (error) {
    // That the container did not start is then not its fault.
    if (isWaiting && !signal.aborted) await connecting
    throw error
  } finally {
    if (isWaiting) await (await connected)?.[Symbol.asyncDispose]()
  }
}

/** Ends the helper when its end of the pipe is closed without a word: with us, however we end. */
const WATCH = '{ read -r _ || kill -9 $$; } <&3 >/dev/null 2>&1 4>&- & exec "$@" 3<&-'
const MAX_COMPLAINT = 1000

/** Two of them have to be tried before the runtime takes its hook for dead. In milliseconds. */
const PATIENCE_MS = 20_000

interface HelperStart {
  readonly ready: string
  readonly namespace: string
  readonly connection: Connection
  readonly signal: AbortSignal
}

interface StartedHelper extends AsyncDisposable {
  /** Is told once how it ended, where nobody has disposed of it. */
  onEarlyEnd(tell: (how: string) => void): void
}

/** What it said, where it ended at once, or why it was not waited for. */
async function startHelper(
  linux: Linux,
  helper: NetworkHelper,
  { ready, namespace, connection: { network, forwardsNames }, signal }: HelperStart,
): Promise<StartedHelper | string> {
  const readyPipe = makePipe(linux, ready)
  const readyDescriptor = 4
  const { subnet, isRealRoot } = network
  const args = helperArguments(helper, {
    subnet,
    namespace,
    ready,
    readyDescriptor,
    forwardsNames,
    isRealRoot,
  })
  const child = spawn('/bin/sh', ['-c', WATCH, 'network-helper', helper.program, ...args], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', readyPipe],
    env: BARE_ENVIRONMENT,
    // In a session of its own, so that a terminal's Ctrl-C reaches us alone.
    detached: true,
  })
  const readable = new Socket({ fd: readyPipe, readable: true, writable: false })
  const watch = child.stdio[3] as Socket
  watch.on('error', () => undefined)
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-MAX_COMPLAINT)
  })
  const ended = new Promise<void>((resolve, reject) => {
    child.once('exit', () => resolve())
    child.once('error', reject)
  })
  let isWanted = true
  const complained = new Promise<void>(resolve => child.stderr?.once('close', () => resolve()))
  const isReady = new Promise<void>((resolve, reject) => {
    readable.once('data', () => resolve())
    readable.once('error', reject)
  })
  const end = async (): Promise<void> => {
    isWanted = false
    watch.end('\n')
    child.kill('SIGKILL')
    await ended
  }
  const waited = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)])
  const gaveUp = new Promise<'late'>(resolve => {
    if (waited.aborted) resolve('late')
    waited.addEventListener('abort', () => resolve('late'))
  })
  try {
    const outcome = await Promise.race([isReady.then(() => 'ready' as const), ended, gaveUp])
    if (outcome === 'late') {
      await end()
      return signal.aborted ? 'the build has ended' : `it was not ready after ${PATIENCE_MS / 1000} seconds`
    }
    if (outcome !== 'ready') {
      watch.end('\n')
      await complained
      return said.trim().split('\n').at(-1) || 'it ended at once'
    }
  } finally {
    readable.destroy()
  }
  return {
    onEarlyEnd(tell) {
      child.once('exit', (code, endingSignal) => {
        if (isWanted) tell(endingSignal ?? `exit code ${code}`)
      })
    },
    [Symbol.asyncDispose]: end,
  }
}
