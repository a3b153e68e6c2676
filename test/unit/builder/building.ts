/** Whole builds over a real store in a temporary folder; RUN is played by a function that writes files. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { build } from '../../../src/builder/build.ts'
import type { BuildDeps, BuildOptions, BuildResult } from '../../../src/builder/build-options.ts'
import type { ContainerProcess } from '../../../src/builder/exec/executor.ts'
import { NO_LIMITS } from '../../../src/builder/exec/limits.ts'
import { createSources } from '../../../src/builder/fetch/sources.ts'
import { readChanges } from '../../../src/builder/snapshot/overlay-changes.ts'
import type { ActiveSnapshot, Snapshotter } from '../../../src/builder/snapshot/snapshotter.ts'
import type { ProgressEvent } from '../../../src/builder/solve/progress.ts'
import { type ImageConfig, parseImageConfig } from '../../../src/oci/config.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { graphSource, readContent } from '../../../src/oci/graph.ts'
import { type ImageManifest, parseManifest } from '../../../src/oci/manifest.ts'
import { parseReference } from '../../../src/oci/reference.ts'
import { type DiskStore, openStore } from '../../../src/store/open.ts'

/** What RUN does: returns an exit code, and may write below `root` (only what it adds, not the whole). */
export type Play = (process: ContainerProcess, root: string) => number | Promise<number>

export interface Workshop extends Disposable {
  readonly store: DiskStore
  /** The build context. */
  readonly context: string
  readonly folder: string
  readonly events: ProgressEvent[]
  /** Processes that were run, in order. */
  readonly processes: ContainerProcess[]
  /** Milliseconds since the epoch; goes on by a second with every reading. */
  clock: number
  play: Play
  remote: BuildDeps['remote']
  write(path: string, content: string): void
  build(
    dockerfile: string,
    options?: Partial<Omit<BuildOptions, 'tags'>> & { readonly tag?: string },
    deps?: Partial<BuildDeps>,
  ): Promise<BuildResult>
  manifest(result: BuildResult): Promise<ImageManifest>
  config(result: BuildResult): Promise<ImageConfig>
  /** Every file of the store with its size and time of change. */
  storeFiles(): readonly string[]
}

export async function openWorkshop(): Promise<Workshop> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-build-'))
  const context = join(folder, 'context')
  mkdirSync(context)
  const store = await openStore({ root: join(folder, 'store'), now: () => 1_700_000_000_000 })
  const events: ProgressEvent[] = []
  const processes: ContainerProcess[] = []
  const source = graphSource(store.content)
  const sources = createSources({
    storeRoot: store.root,
    secrets: new Map(),
    ssh: new Map(),
    environment: process.env,
    socketDirectory: folder,
  })
  const workshop: Workshop = {
    store,
    context,
    folder,
    events,
    processes,
    clock: Date.UTC(2026, 0, 1),
    play: () => 0,
    remote: {
      repository: () => {
        throw new Error('no registry in this test')
      },
    },
    write(path, content) {
      mkdirSync(dirname(join(context, path)), { recursive: true })
      writeFileSync(join(context, path), content)
    },
    build(text, { tag, ...options } = {}, deps = {}) {
      return build(
        {
          context,
          dockerfile: { name: 'Dockerfile', text },
          tags: tag === undefined ? [] : [parseReference(tag)],
          buildArgs: new Map(),
          labels: new Map(),
          platforms: [],
          noCache: false,
          noCacheStages: [],
          namedContexts: new Map(),
          cacheFrom: [],
          cacheTo: [],
          pull: false,
          network: 'default',
          outputs: [],
          attestations: {},
          extraHosts: [],
          allow: new Set(),
          limits: NO_LIMITS,
          secrets: new Map(),
          ...options,
        },
        {
          store,
          remote: workshop.remote,
          sources,
          openSandbox: async () => ({
            cacheMounts: { acquire: () => Promise.reject(new Error('no cache mounts in this test')) },
            snapshotter: fakeSnapshotter(folder),
            executor: {
              async run(process, [mount], { output }) {
                processes.push(process)
                output('stdout', Buffer.from('working\n'))
                return { exitCode: await workshop.play(process, mount?.source ?? '') }
              },
            },
          }),
          progress: event => void events.push(event),
          now: () => {
            workshop.clock += 1000
            return workshop.clock
          },
          monotonicNow: () => 0,
          signal: new AbortController().signal,
          hostPlatform: { os: 'linux', architecture: 'amd64' },
          concurrency: 2,
          requirePlatform: () => Promise.resolve(),
          ...deps,
        },
      )
    },
    async manifest({ descriptor }) {
      const manifest = parseManifest(await readContent(source, descriptor), descriptor.mediaType)
      if (manifest.kind !== 'image') throw new Error('the result is an index')
      return manifest
    },
    async config(result) {
      return parseImageConfig(await readContent(source, (await workshop.manifest(result)).config))
    },
    storeFiles() {
      return readdirSync(store.root, { recursive: true, encoding: 'utf8' })
        .map(name => [name, statSync(join(store.root, name))] as const)
        .filter(([, stats]) => stats.isFile())
        .map(([name, { size, mtimeMs }]) => `${name} ${size} ${mtimeMs}`)
        .sort()
    },
    [Symbol.dispose]() {
      store[Symbol.dispose]()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return workshop
}

/** The name of the steps that ran, without their places. */
export function executed(events: readonly ProgressEvent[]): readonly string[] {
  const cached = new Set(events.flatMap(event => (event.kind === 'cached' ? [event.vertex] : [])))
  return events.flatMap(event =>
    event.kind === 'started' && !cached.has(event.vertex) && /\] (RUN|COPY|ADD|WORKDIR)/.test(event.name)
      ? [event.name.replace(/^\[[^\]]*\] /, '')]
      : [],
  )
}

export function readText(path: string): string {
  return readFileSync(path, 'utf8')
}

/** Remembers what is unpacked, unpacks nothing; an active snapshot is an empty directory. */
function fakeSnapshotter(folder: string): Snapshotter {
  const names = new Set<Digest>()
  const prepare = async () => {
    const upperDirectory = mkdtempSync(join(folder, 'upper-'))
    const snapshot: ActiveSnapshot = {
      mounts: [{ type: 'bind', source: upperDirectory, options: [] }],
      directory: upperDirectory,
      changes: (lower, signal) => readChanges(upperDirectory, lower, signal),
      async apply(tar) {
        for await (const _ of tar);
      },
      async commit(name) {
        names.add(name)
      },
      async [Symbol.asyncDispose]() {
        rmSync(upperDirectory, { recursive: true, force: true })
      },
    }
    return snapshot
  }
  return {
    prepare,
    view: prepare,
    has: async name => names.has(name),
    async apply(name, _parent, tar) {
      for await (const _ of tar);
      names.add(name)
    },
  }
}
