import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Distribution } from '../../test/e2e/support/distribution.ts'
import { buildahIn } from '../../test/e2e/support/peers.ts'
import { type Served, slipwayAt } from '../../test/e2e/support/slipway.ts'
import { type Bench, ENGINE, type Peer } from '../bench.ts'
import { OURS } from '../workload.ts'

/** A tool that builds a folder with a Dockerfile, over the base image `bench-base:1` or one in a registry on this machine. */
export interface Builder {
  readonly name: string
  daemons(): readonly number[]
  /** Forgets all but the base image. */
  reset(): Promise<void>
  /** Builds, in whatever way this tool uses its cache. @returns what it printed */
  build(context: string, options?: readonly string[]): Promise<string>
  /** Makes what was built last pullable, if it is not yet. */
  publish(): Promise<void>
  /** A host where it can be pulled then, and its name there. Starts a server if there is none. */
  where(): Promise<string>
}

export const BASE = 'bench-base:1'
const IMAGE = 'bench'

/** Ours first. A tool that is missing is there with its reason. */
export async function createBuilders(bench: Bench): Promise<readonly Named<Peer<Builder>>[]> {
  const archive = join(bench.scratch, 'base-image.tar')
  const maker = bench.slipway('base')
  await maker.run(['import', await bench.busybox(), BASE])
  await maker.run(['save', '-o', archive, BASE])
  return [
    { name: OURS, value: await createOurs(bench, archive) },
    { name: ENGINE, ...(await createDocker(bench, archive)) },
    { name: 'buildah', ...(await createBuildah(bench, archive)) },
  ]
}

export type Named<T> = T & { readonly name: string }

/** The runtime that all of them use. */
export const RUNTIME = 'runc'

async function createOurs(bench: Bench, archive: string): Promise<Builder> {
  const slipway = bench.slipway('ours')
  let served: Served | undefined
  bench.keep({ [Symbol.asyncDispose]: async () => served?.[Symbol.asyncDispose]() })
  await slipway.run(['load', '-i', archive])
  return {
    name: OURS,
    daemons: () => [],
    async reset() {
      await served?.[Symbol.asyncDispose]()
      served = undefined
      rmSync(slipway.root, { recursive: true })
      await slipway.run(['load', '-i', archive])
    },
    async build(context, options = []) {
      const args = ['build', '--network=host', '--runtime', RUNTIME, '--progress=plain', '-t', IMAGE]
      const { code, stderr } = await slipway.try([...args, ...options, context], { timeoutMs: TIMEOUT_MS })
      assert.equal(code, 0, stderr)
      return stderr
    },
    publish: async () => undefined,
    async where() {
      // Not ours to profile here: what serves is not what is measured.
      served ??= await slipwayAt(slipway.root).serve()
      return `${served.host}/${IMAGE}`
    },
  }
}

async function createDocker(bench: Bench, archive: string): Promise<Peer<Builder>> {
  const { value: engine, missing } = await bench.engine()
  if (engine === undefined) return { missing }
  await engine.docker(['load', '--quiet', '-i', archive])
  const registry = await registryFor(bench)
  const name = (): string => `${registry.host()}/${IMAGE}`
  return {
    value: {
      name: ENGINE,
      daemons: () => [engine.pid, ...registry.daemons()],
      async reset() {
        await engine.tryDocker(['rmi', '--force', name()])
        await engine.docker(['builder', 'prune', '--all', '--force'])
        await registry.reset()
      },
      build: (context, options = []) =>
        engine.build(['-t', name(), ...options, context], { timeoutMs: TIMEOUT_MS }),
      async publish() {
        await engine.docker(['push', '--quiet', name()], { timeoutMs: TIMEOUT_MS })
      },
      where: async () => name(),
    },
  }
}

async function createBuildah(bench: Bench, archive: string): Promise<Peer<Builder>> {
  const program = bench.program('buildah')
  if (program.missing !== undefined) return program
  const buildah = buildahIn(bench.scratch)
  await buildah(['pull', '--quiet', `docker-archive:${archive}`])
  const registry = await registryFor(bench)
  return {
    value: {
      name: 'buildah',
      daemons: registry.daemons,
      async reset() {
        await buildah(['rmi', '--force', '--all'])
        await buildah(['pull', '--quiet', `docker-archive:${archive}`])
        await registry.reset()
      },
      build: (context, options = []) =>
        buildah([
          ...['bud', '--layers', '--isolation', 'oci', '--runtime', RUNTIME, '--network=host'],
          ...['--tls-verify=false', '-t', IMAGE],
          ...options,
          context,
        ]),
      async publish() {
        await buildah([
          'push',
          '--quiet',
          '--tls-verify=false',
          IMAGE,
          `docker://${registry.host()}/${IMAGE}`,
        ])
      },
      where: async () => `${registry.host()}/${IMAGE}`,
    },
  }
}

interface PeerRegistry {
  host(): string
  daemons(): readonly number[]
  /** From now on it is an empty one. */
  reset(): Promise<void>
}

async function registryFor(bench: Bench): Promise<PeerRegistry> {
  let current = await startRegistry(bench)
  return {
    host: () => current.host,
    daemons: () => [current.pid],
    async reset() {
      current = await startRegistry(bench)
    },
  }
}

/** Debian's `docker-registry`, or where that is missing ours; empty. */
export async function startRegistry(bench: Bench): Promise<Pick<Distribution, 'host' | 'pid'>> {
  const { value } = await bench.distribution()
  if (value !== undefined) return value
  const served = bench.keep(await bench.slipway(`registry-${performance.now()}`).serve())
  return { host: served.host, pid: served.process.pid ?? 0 }
}

const TIMEOUT_MS = 1_200_000
