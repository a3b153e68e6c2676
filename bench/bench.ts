import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { busyboxRootfs, isMade } from '../test/e2e/support/base-images.ts'
import { type Distribution, startDistribution } from '../test/e2e/support/distribution.ts'
import { type Engine, startEngine, startNewEngine } from '../test/e2e/support/engine.ts'
import { findProgram, run } from '../test/e2e/support/process.ts'
import { PROGRAM, type Slipway, slipwayAt } from '../test/e2e/support/slipway.ts'
import { type LoadClient, startLoadClient } from './load/load-client.ts'

export interface BenchOptions {
  /** Of the sizes that the workloads name: 1 for all of it. */
  readonly scale: number
  /** As small as still means something: to prove that a workload works. */
  readonly quick: boolean
  /** Names of the contenders that may run beside ours; all when undefined. */
  readonly against: readonly string[] | undefined
  /** A folder for profiles of ours; or undefined. */
  readonly cpuProfiles: string | undefined
  /** A folder for counts of our system calls; or undefined. */
  readonly systemCalls: string | undefined
}

/** Something of another's that is there, or why it is not. */
export type Peer<T> =
  | { readonly value: T; readonly missing?: undefined }
  | { readonly value?: undefined; readonly missing: string }

/** What workloads work with. Everything that is started here ends with it. */
export interface Bench extends AsyncDisposable {
  readonly quick: boolean
  /** A folder below the temporary one, for the bench alone. */
  readonly scratch: string
  /** A number of files, bytes or clients for this run. */
  scaled(full: number, least?: number): number
  folder(name: string): string
  /** Our program over a store of this name. */
  slipway(store: string): Slipway
  /** A program, unless it is missing or was not asked for. @param asked the contender that it is for */
  program(name: string, asked?: string): Peer<string>
  engine(): Promise<Peer<Engine>>
  /** The engine if a workload has asked for it. */
  startedEngine(): Promise<Peer<Engine>> | undefined
  distribution(): Promise<Peer<Distribution>>
  /** The tar of a small root filesystem. */
  busybox(): Promise<string>
  /** A process that asks servers and swallows what they answer. */
  loadClient(): LoadClient
  /** Ends it with the bench. */
  keep<T extends AsyncDisposable>(resource: T): T
}

export function createBench(options: BenchOptions): Bench {
  const scratch = mkdtempSync(join(tmpdir(), 'slipway-bench-'))
  const kept: AsyncDisposable[] = []
  let engine: Promise<Peer<Engine>> | undefined
  let busybox: Promise<string> | undefined
  const keep = <T extends AsyncDisposable>(resource: T): T => {
    kept.push(resource)
    return resource
  }
  const isAskedFor = (name: string): boolean =>
    options.against === undefined || options.against.includes(name)
  const bench: Bench = {
    quick: options.quick,
    scratch,
    scaled: (full, least = 1) =>
      Math.max(least, Math.round(full * (options.quick ? QUICK_SCALE : options.scale))),
    folder(name) {
      const path = join(scratch, name)
      mkdirSync(path, { recursive: true })
      return path
    },
    slipway: store => slipwayAt(join(scratch, 'stores', store), ourVariables(options), ourCommand(options)),
    program(name, asked = name) {
      if (!isAskedFor(asked)) return { missing: NOT_ASKED_FOR }
      const value = findProgram(name)
      return value === undefined ? { missing: `${name} is not installed` } : { value }
    },
    engine() {
      engine ??= openEngine(isAskedFor(ENGINE))
      return engine
    },
    startedEngine: () => engine,
    async distribution() {
      const program = bench.program('docker-registry')
      if (program.missing !== undefined) return program
      return { value: keep(await startDistribution(mkdtempSync(join(scratch, 'distribution-')))) }
    },
    busybox() {
      busybox ??= makeBusybox(join(scratch, 'busybox.tar'))
      return busybox
    },
    loadClient: () => keep(startLoadClient()),
    keep,
    async [Symbol.asyncDispose]() {
      for (const resource of kept.splice(0).reverse()) await resource[Symbol.asyncDispose]()
      await (await engine)?.value?.[Symbol.asyncDispose]()
      // podman and buildah leave their storage mounted over itself.
      for (const tool of ['podman', 'buildah']) await run('umount', [join(scratch, tool, 'root/overlay')])
      rmSync(scratch, { recursive: true, force: true })
    },
  }
  return bench
}

export const NOT_ASKED_FOR = 'not asked for'

/** The contender that an engine is. */
export const ENGINE = 'docker'

export const QUICK_SCALE = 0.002

/** The engine of Debian sid where it was made before, else the installed one; nothing is downloaded. */
export async function openEngine(isAsked: boolean): Promise<Peer<Engine>> {
  if (!isAsked) return { missing: NOT_ASKED_FOR }
  if (process.getuid?.() !== 0) return { missing: 'a Docker engine needs root' }
  if (await isMade('sid-engine')) return { value: await startNewEngine() }
  for (const name of ['dockerd', 'docker'])
    if (findProgram(name) === undefined) return { missing: `${name} is not installed` }
  return { value: await startEngine() }
}

async function makeBusybox(target: string): Promise<string> {
  await busyboxRootfs(target)
  return target
}

/** No line for each request: the other servers write none either. */
function ourVariables({ cpuProfiles }: BenchOptions): Readonly<Record<string, string>> {
  const quiet = { SLIPWAY_LOG: 'off' }
  if (cpuProfiles === undefined) return quiet
  return { ...quiet, NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${cpuProfiles}` }
}

function ourCommand({ systemCalls }: BenchOptions): readonly [string, ...string[]] {
  if (systemCalls === undefined) return [PROGRAM]
  // A file for each command. `-D`: the command stays our child, and gets the signals that are meant for it.
  const count = 'exec strace -D -f -c -S calls -o "$0/$$.txt" "$@"'
  return ['sh', '-c', count, systemCalls, PROGRAM]
}
