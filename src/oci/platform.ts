import { OciError } from './errors.ts'
import { isStringArray, type JsonObject } from './json.ts'

/** The platform object of an index entry and of an image config (image-spec `image-index.md`). */
export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
  readonly 'os.version'?: string
  readonly 'os.features'?: readonly string[]
}

const ARCHITECTURE_ALIASES: Readonly<Record<string, readonly [string, string?]>> = {
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  x64: ['amd64'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
  i386: ['386'],
  ia32: ['386'],
}

/** Those that a single word may name (`GOOS` and `GOARCH` of Go); with both words any will do. */
const SYSTEMS: ReadonlySet<string> = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux netbsd openbsd plan9 solaris windows zos'.split(
    ' ',
  ),
)
const ARCHITECTURES: ReadonlySet<string> = new Set(
  [
    ...['386', 'amd64', 'arm', 'arm64', 'armbe', 'arm64be', 'loong64', 'wasm'],
    ...['mips', 'mipsle', 'mips64', 'mips64le', 'ppc', 'ppc64', 'ppc64le'],
    ...['riscv', 'riscv64', 's390', 's390x', 'sparc', 'sparc64'],
  ].concat(Object.keys(ARCHITECTURE_ALIASES)),
)

/**
 * `os/architecture[/variant]`, as `docker build --platform` takes it; a single word is an architecture or an OS
 * to be filled up from `host`.
 * @throws OciError `platform-invalid`
 */
export function parsePlatform(text: string, host: Platform): Platform {
  const parts = text.toLowerCase().split('/')
  if (parts.length > 3 || !parts.every(part => /^[a-z0-9_.-]+$/.test(part))) {
    throw new OciError(
      'platform-invalid',
      `Cannot parse platform ${JSON.stringify(text)}: want os/architecture or os/architecture/variant, such as linux/amd64`,
    )
  }
  const [first = '', second, third] = parts
  if (second === undefined) {
    if (SYSTEMS.has(first)) return { ...host, os: first }
    if (ARCHITECTURES.has(first)) return normalize(host.os, first, undefined)
    throw new OciError(
      'platform-invalid',
      `Cannot parse platform ${JSON.stringify(text)}: that is neither an operating system nor an architecture; want both, such as linux/amd64`,
    )
  }
  return normalize(first, second, third)
}

/** Of an index entry or an image config, other fields left out. Undefined where the OS or the architecture is missing. */
export function readPlatform(value: JsonObject): Platform | undefined {
  const { os, architecture, variant, 'os.version': osVersion, 'os.features': osFeatures } = value
  if (typeof os !== 'string' || typeof architecture !== 'string') return undefined
  return {
    os,
    architecture,
    ...(typeof variant === 'string' && variant !== '' && { variant }),
    ...(typeof osVersion === 'string' && { 'os.version': osVersion }),
    ...(isStringArray(osFeatures) && { 'os.features': osFeatures }),
  }
}

/** `linux/arm/v7` */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = platform
  return variant ? `${os}/${architecture}/${variant}` : `${os}/${architecture}`
}

/** Node's `process.platform` and `process.arch` in the words of the specification. */
export function platformOfHost(platform: string, arch: string): Platform {
  return normalize(platform, arch, arch === 'arm' ? 'v7' : undefined)
}

/**
 * How well an image of platform `have` serves one who wants `want`: 0 not at all, higher is better. arm variants
 * are downward compatible (v7 runs v6), arm64's default variant is v8.
 */
export function platformMatch(have: Platform, want: Platform): number {
  if (have.os !== want.os || have.architecture !== want.architecture) return 0
  const haveLevel = variantLevel(have)
  const wantLevel = variantLevel(want)
  if (haveLevel > wantLevel) return 0
  return 100 - (wantLevel - haveLevel)
}

/** Of entries of an index the one that serves `want` best; of equal ones the first. */
export function bestForPlatform<T extends { readonly platform?: Platform }>(
  entries: readonly T[],
  want: Platform,
): T | undefined {
  let best: T | undefined
  let bestMatch = 0
  for (const entry of entries) {
    const match = entry.platform === undefined ? 0 : platformMatch(entry.platform, want)
    if (match > bestMatch) [best, bestMatch] = [entry, match]
  }
  return best
}

function variantLevel(platform: Platform): number {
  const given = /^v(\d+)/.exec(platform.variant ?? '')?.[1]
  if (given !== undefined) return Number(given)
  if (platform.architecture === 'arm64') return 8
  if (platform.architecture === 'arm') return 7
  return platform.architecture === 'amd64' ? 1 : 0
}

function normalize(os: string, architecture: string, variant: string | undefined): Platform {
  const [known, implied] = ARCHITECTURE_ALIASES[architecture] ?? [architecture]
  const level = variant ?? implied
  if (level === undefined || (known === 'arm64' && level === 'v8') || (known === 'amd64' && level === 'v1'))
    return { os, architecture: known }
  return { os, architecture: known, variant: level.startsWith('v') ? level : `v${level}` }
}
