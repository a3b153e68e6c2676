/** ARG outside of stages: platform arguments, those before the first FROM, and what `--build-arg` gave. */
import { formatPlatform, type Platform } from '../../oci/platform.ts'
import type { Dockerfile } from '../dockerfile/instructions.ts'
import type { Expand } from './words.ts'

export interface GlobalArguments {
  /** What FROM lines see, and what an ARG without a value inherits. */
  readonly values: ReadonlyMap<string, string>
  /** Names declared before the first FROM. */
  readonly declared: readonly string[]
}

/** Semantics 20, 21: a build arg wins over the default, also for platform arguments. */
export function globalArguments(
  dockerfile: Dockerfile,
  buildArgs: ReadonlyMap<string, string>,
  platformValues: ReadonlyMap<string, string>,
  expand: Expand,
): GlobalArguments {
  const values = new Map(platformValues)
  for (const name of platformValues.keys()) {
    const given = buildArgs.get(name)
    if (given !== undefined) values.set(name, given)
  }
  const declared: string[] = []
  for (const { args, span } of dockerfile.metaArgs) {
    for (const { key, value: fallback } of args) {
      const value =
        buildArgs.get(key) ?? (fallback === undefined ? undefined : expand.word(fallback, values, span))
      declared.push(key)
      if (value !== undefined) values.set(key, value)
    }
  }
  return { values, declared }
}

/** `BUILDPLATFORM` and the like, for the machine that builds and the image that is built. */
export function platformArguments(
  host: Platform,
  image: Platform,
  target: string | undefined,
): ReadonlyMap<string, string> {
  const of = (prefix: string, platform: Platform): [string, string][] => [
    [`${prefix}PLATFORM`, formatPlatform(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}OSVERSION`, platform['os.version'] ?? ''],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ''],
  ]
  return new Map([...of('BUILD', host), ...of('TARGET', image), ['TARGETSTAGE', target ?? 'default']])
}

const PROXY = /^(http|https|ftp|no|all)_proxy$/i

/** Proxies among the build args, in both cases, for RUN; they need no ARG and leave no trace (semantics 21). */
export function proxyEnv(buildArgs: ReadonlyMap<string, string>): readonly string[] {
  const proxies = [...buildArgs].filter(([name]) => PROXY.test(name))
  const both = proxies.flatMap(([name, value]) => [
    `${name.toUpperCase()}=${value}`,
    `${name.toLowerCase()}=${value}`,
  ])
  return [...new Set(both)].toSorted()
}

/** Build args that nothing asked for (semantics 22). */
export function unconsumed(
  buildArgs: ReadonlyMap<string, string>,
  consumed: ReadonlySet<string>,
): readonly string[] {
  return [...buildArgs.keys()]
    .filter(name => !consumed.has(name) && !PROXY.test(name) && !BUILT_IN.test(name))
    .toSorted()
}

/** Read by builders themselves. */
const BUILT_IN =
  /^(BUILDKIT_.*|SOURCE_DATE_EPOCH|(BUILD|TARGET)(PLATFORM|OS|OSVERSION|ARCH|VARIANT)|TARGETSTAGE)$/
