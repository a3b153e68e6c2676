import { isDeepStrictEqual } from 'node:util'
import type { ImageContents } from './image-contents.ts'

/** What two builders are compared by: all of an image but when it was made, and the hashes that follow from that. */
export interface Comparable {
  readonly config: Readonly<Record<string, unknown>>
  readonly history: readonly HistoryEntry[]
  readonly layers: number
  /** What each path is, by path. */
  readonly tree: Readonly<Record<string, string>>
}

interface HistoryEntry {
  readonly created_by?: string
  readonly comment?: string
  readonly empty_layer?: boolean
}

/** Something that an engine does otherwise than we, and shall. */
interface Difference {
  readonly name: string
  readonly reason: string
  /** Whether the engine of this version does so. */
  isOf(version: string): boolean
  /** Takes the difference out of an image: ours, or theirs. */
  without(image: Comparable): Comparable
}

/** Every difference that is not a failure. */
const DIFFERENCES: readonly Difference[] = [
  ofOldHistory('no owner and mode in COPY and ADD', createdBy =>
    createdBy.replace(/^(COPY|ADD) (--ch(own|mod)=\S+ )+/, '$1 '),
  ),
  ofOldHistory('no value in ARG', createdBy => createdBy.replace(/^ARG (\w+)=.*$/, 'ARG $1')),
  ofOldHistory('no inherited arguments in RUN', createdBy =>
    createdBy.replace(/^RUN \|\d+ .*? \/bin\/sh -c/, 'RUN /bin/sh -c'),
  ),
  ofOldHistory('no start interval in HEALTHCHECK', createdBy =>
    createdBy.replace(/^(HEALTHCHECK .*?"\S+" "\S+" "\S+") "0s" '/, "$1 '"),
  ),
  {
    name: 'extended attributes of users',
    reason:
      'the tars of the engine hold security.capability alone; a layer of ours holds what its files have',
    isOf: () => true,
    without: image => ({
      ...image,
      tree: Object.fromEntries(
        Object.entries(image.tree).map(([path, line]) => [path, line.replaceAll(/ user\.[^ =]+=\S*/g, '')]),
      ),
    }),
  },
  ofOldHistory('ports as a map in EXPOSE', createdBy =>
    createdBy.replace(/^EXPOSE (?:map)?\[(.*)\]$/, (_, ports: string) => {
      const names = ports.replaceAll(':{}', '').split(' ')
      return `EXPOSE ${[...new Set(names)].sort().join(' ')}`
    }),
  ),
  ofOldTree('links to names of layers below', tree =>
    Object.fromEntries(
      Object.entries(tree).map(([path, what]) => [
        path,
        what.replace(/ linked with [^\n]*?(?= of \d|$)/, ''),
      ]),
    ),
  ),
  ofOldTree('/etc left by RUN on scratch', ({ etc, ...tree }) =>
    etc === undefined ||
    (etc === 'directory 755 0:0' && !Object.keys(tree).some(path => path.startsWith('etc/')))
      ? tree
      : { etc, ...tree },
  ),
]

export function comparable({ config, layers, tree }: ImageContents): Comparable {
  // The cache record is the engine's own (`moby.buildkit.cache.v0`), for images that shall give their cache to others.
  const { created: _created, rootfs: _rootfs, history, 'moby.buildkit.cache.v0': _cache, ...rest } = config
  return {
    config: { ...rest, config: withoutNulls(rest.config) },
    history: (history as (HistoryEntry & { created?: string })[]).map(({ created: _at, ...step }) => step),
    layers,
    tree: Object.fromEntries(tree),
  }
}

/** An image without what an engine of this version does otherwise. */
export function withoutDifferences(image: Comparable, version: string): Comparable {
  return DIFFERENCES.filter(difference => difference.isOf(version)).reduce(
    (left, difference) => difference.without(left),
    image,
  )
}

/** Where two images are not the same, one line for each place. */
export function tellApart(ours: unknown, theirs: unknown, place = 'image'): readonly string[] {
  if (isDeepStrictEqual(ours, theirs)) return []
  if (!isObject(ours) || !isObject(theirs)) {
    return [`${place}: ours is ${JSON.stringify(ours)}, theirs ${JSON.stringify(theirs)}`]
  }
  const keys = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])].sort()
  return keys.flatMap(key => tellApart(ours[key], theirs[key], `${place}.${key}`))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** The names of the differences without which two images would not be the same. */
export function differencesOf(ours: Comparable, theirs: Comparable, version: string): readonly string[] {
  return DIFFERENCES.filter(difference => {
    const others = DIFFERENCES.filter(other => other !== difference && other.isOf(version))
    const left = (image: Comparable) => others.reduce((image, other) => other.without(image), image)
    return difference.isOf(version) && !isDeepStrictEqual(left(ours), left(theirs))
  }).map(({ name }) => name)
}

/** Go writes an empty list as null where we write nothing. */
function withoutNulls(config: unknown): unknown {
  return Object.fromEntries(Object.entries(config as object).filter(([, value]) => value !== null))
}

/** Layers of the graph driver say of some files what those of containerd do not (semantics 64, 89). */
function ofOldTree(name: string, older: (tree: Comparable['tree']) => Comparable['tree']): Difference {
  return {
    name,
    reason: 'the engine of Debian 12 is of 2020',
    isOf: isOld,
    without: image => ({ ...image, tree: older(image.tree) }),
  }
}

/** The engine of 2020 writes some lines of the history otherwise than those of today, which we follow (semantics 25, 81). */
function ofOldHistory(name: string, older: (createdBy: string) => string): Difference {
  return {
    name,
    reason: 'the engine of Debian 12 is of 2020',
    isOf: isOld,
    without: image => ({
      ...image,
      history: image.history.map(step => ({
        ...step,
        ...(step.created_by !== undefined && { created_by: older(step.created_by) }),
      })),
    }),
  }
}

/** Whether the engine is one of before BuildKit was the default builder. */
export function isOld(version: string): boolean {
  return Number.parseInt(version, 10) < 23
}
