import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { run } from '../test/e2e/support/process.ts'
import { type Bench, ENGINE, NOT_ASKED_FOR } from './bench.ts'

/** What figures depend on. No names and no paths. */
export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly hasSHA: boolean
  readonly memoryGB: number
  readonly linux: string
  readonly node: string
  /** Versions of those who are measured beside ours, or why they are not. */
  readonly peers: Readonly<Record<string, string>>
}

export async function describeMachine(bench: Bench): Promise<Machine> {
  const peers: Record<string, string> = {}
  const engine = await bench.startedEngine()
  if (engine !== undefined && engine.missing !== NOT_ASKED_FOR)
    peers[ENGINE] = engine.missing ?? `engine ${engine.value?.version} with its BuildKit`
  for (const [name, args] of VERSIONS) {
    const { value, missing } = bench.program(name)
    if (missing === NOT_ASKED_FOR) continue
    peers[name] = missing ?? firstVersion(await run(value, args))
  }
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    hasSHA: /^flags.*\bsha_ni\b/m.test(readFileSync('/proc/cpuinfo', 'utf8')),
    memoryGB: Math.round(totalmem() / 2 ** 30),
    linux: /^\d+\.\d+/.exec(release())?.[0] ?? 'unknown',
    node: process.versions.node,
    peers,
  }
}

const VERSIONS = [
  ['buildah', ['--version']],
  ['podman', ['--version']],
  ['docker-registry', ['--version']],
  ['nginx', ['-v']],
  ['runc', ['--version']],
] as const

function firstVersion({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }): string {
  return /\d+\.\d+[\w.+~-]*/.exec(stdout + stderr)?.[0] ?? 'of unknown version'
}
