/**
 * A stage as far as it has been planned: the vertex of its root filesystem, and the image config it would have.
 * Each instruction turns one draft into the next. Only RUN, COPY, ADD and WORKDIR make vertices; all else is in
 * the draft alone, so that changing a LABEL or CMD executes nothing.
 */
import { posix } from 'node:path'
import type { HistoryEntry, ImageConfig, RuntimeConfig } from '../../oci/config.ts'
import type { Platform } from '../../oci/platform.ts'
import type { BaseImage } from '../images/base-image.ts'
import type { Vertex } from '../solve/vertex.ts'

export interface StageDraft {
  readonly root: Vertex
  readonly image: ImageDraft
  /** What words are expanded with and RUN sees: ENV and those ARGs that have a value, the last writer wins. */
  readonly env: ReadonlyMap<string, string>
  /** Names declared by ARG, in order; RUN's history names them. */
  readonly args: readonly string[]
  /** Time of files that no source gives a time to: when the base was made, in seconds since the epoch. */
  readonly createdAt: number
  /** CMD stands in this very stage, so ENTRYPOINT does not reset it. */
  readonly hasCmd: boolean
  /** Whether this stage, or one that it is built on, has a WORKDIR: the base's says little of where one is. */
  readonly hasWorkdir: boolean
}

/** An image config whose layers and times are not known before the graph is solved. */
export interface ImageDraft {
  readonly config: Omit<ImageConfig, 'created' | 'rootfs' | 'history'>
  readonly history: readonly HistoryItem[]
}

/** An entry of the base image, as it was, or a new one; the vertex is the one that made its layer. */
export type HistoryItem =
  | { readonly kind: 'inherited'; readonly entry: HistoryEntry }
  | { readonly kind: 'new'; readonly createdBy: string; readonly vertex?: Vertex }
  /** A layer that no instruction made. */
  | { readonly kind: 'unsaid'; readonly description: string; readonly vertex: Vertex }

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** `FROM scratch` */
export function scratchDraft(root: Vertex, platform: Platform): StageDraft {
  const config = { ...platform, config: { WorkingDir: '/' }, unknown: {} }
  return startStage(root, { config, history: [] }, new Map(), 0)
}

/** FROM an image. */
export function imageDraft(root: Vertex, base: BaseImage): StageDraft {
  const { created, rootfs, history, ...config } = base.config
  const kept = { ...config, config: without(config.config, CONTAINER_FIELDS) }
  return startStage(
    root,
    {
      config: { ...kept, unknown: without(kept.unknown, BUILD_FIELDS) },
      history: pairHistory(history, base.layers.length).map(entry => ({ kind: 'inherited', entry })),
    },
    new Map(),
    secondsOf(created),
  )
}

/** FROM an earlier stage: its ARGs stay in force (semantics 24). */
export function childDraft(parent: StageDraft): StageDraft {
  return {
    ...startStage(parent.root, parent.image, parent.env, parent.createdAt),
    args: parent.args,
    hasWorkdir: parent.hasWorkdir,
  }
}

export function withConfig(draft: StageDraft, change: Partial<RuntimeConfig>): StageDraft {
  const { image } = draft
  const config = { ...image.config, config: { ...image.config.config, ...change } }
  return { ...draft, image: { ...image, config } }
}

/** Absolute and clean. */
export function workingDirectory(draft: StageDraft): string {
  return posix.resolve('/', draft.image.config.config.WorkingDir ?? '')
}

/** Takes fields out of the config. */
export function withoutConfig(draft: StageDraft, ...names: readonly (keyof RuntimeConfig)[]): StageDraft {
  const { image } = draft
  const config = { ...image.config, config: without(image.config.config, names) }
  return { ...draft, image: { ...image, config } }
}

/** Adds a line of history; with a vertex it has a layer, and the vertex is the stage's new root. */
export function withHistory(draft: StageDraft, createdBy: string, vertex?: Vertex): StageDraft {
  const item: HistoryItem = { kind: 'new', createdBy, ...(vertex !== undefined && { vertex }) }
  const image = { ...draft.image, history: [...draft.image.history, item] }
  return { ...draft, image, ...(vertex !== undefined && { root: vertex }) }
}

/** Adds a layer that no instruction made. */
export function withLayer(draft: StageDraft, description: string, vertex: Vertex): StageDraft {
  const history: ImageDraft['history'] = [...draft.image.history, { kind: 'unsaid', description, vertex }]
  return { ...draft, image: { ...draft.image, history }, root: vertex }
}

/** Sets a variable in the list of an image config, in place where it is set already. */
export function setEnv(env: readonly string[], name: string, value: string): readonly string[] {
  const at = env.findIndex(item => nameOf(item) === name)
  const item = `${name}=${value}`
  return at < 0 ? [...env, item] : env.with(at, item)
}

function splitEnv(item: string): readonly [name: string, value: string] {
  const name = nameOf(item)
  return [name, item.slice(name.length + 1)]
}

function startStage(
  root: Vertex,
  image: ImageDraft,
  inherited: ReadonlyMap<string, string>,
  createdAt: number,
): StageDraft {
  const { Env = [] } = image.config.config
  const hasPath = Env.some(item => nameOf(item) === 'PATH')
  const env = hasPath ? Env : [...Env, `PATH=${DEFAULT_PATH}`]
  const draft: StageDraft = {
    root,
    image,
    env: new Map([...inherited, ...env.map(splitEnv)]),
    args: [],
    createdAt,
    hasCmd: false,
    hasWorkdir: false,
  }
  return withConfig(draft, { Env: env })
}

/** Of Docker's config: what was said of the container in which the base was built. */
const CONTAINER_FIELDS: readonly string[] = [
  'Hostname',
  'Domainname',
  'AttachStdin',
  'AttachStdout',
  'AttachStderr',
  'Tty',
  'OpenStdin',
  'StdinOnce',
  'Image',
  'MacAddress',
  'NetworkDisabled',
]
/** Of Docker's image document: how the base itself was built, untrue of what is built on it. */
const BUILD_FIELDS: readonly string[] = [
  'container',
  'container_config',
  'docker_version',
  'id',
  'parent',
  'Size',
]

/** As many entries with a layer as there are layers: readers pair them in order. */
function pairHistory(history: readonly HistoryEntry[], layers: number): readonly HistoryEntry[] {
  let left = layers
  const paired = history.map(entry => {
    if (entry.empty_layer === true) return entry
    return left-- > 0 ? entry : { ...entry, empty_layer: true }
  })
  return [...paired, ...Array.from({ length: Math.max(left, 0) }, () => ({ comment: 'no history' }))]
}

/** 0 for what is no time, or one that a tar header has no room for. */
function secondsOf(created: string | undefined): number {
  const seconds = Math.floor(Date.parse(created ?? '') / 1000)
  return seconds > 0 && seconds < 2 ** 33 ? seconds : 0
}

function nameOf(item: string): string {
  const at = item.indexOf('=')
  return at < 0 ? item : item.slice(0, at)
}

function without<T extends object>(value: T, names: readonly string[]): T {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name))) as T
}
