/**
 * Modules of Go programs: the linker writes them into the program (`go version -m` prints them). Since Go 1.18 they stand
 * behind a mark, as two strings with their lengths before them: the version of Go, and a text of lines
 *
 * ```
 * path <main package>    mod <module> <version>    dep <module> <version> <sum>    => <replacement of the line before>
 * ```
 */
import { formatPurl } from '../purl.ts'
import { type FoundPackage, foundPackage, MAX_PACKAGES_PER_FILE } from './package.ts'

const MARK = Buffer.from('\xff Go buildinf:', 'latin1')
/** The head: the mark, two bytes of flags, and room. */
const HEAD_BYTES = 32
const INLINE_STRINGS = 2
const MAX_INFO_BYTES = 4 * 1024 * 1024

/** Reads a program piece by piece, and no more of it than up to what is looked for. Nothing for other files. */
export async function readGoModules(
  program: AsyncIterable<Uint8Array>,
  evidence: string,
): Promise<readonly FoundPackage[]> {
  let window = Buffer.alloc(0)
  let isElf = false
  let isFound = false
  for await (const chunk of program) {
    window = Buffer.concat([window, chunk])
    if (!isElf) {
      if (window.length < 4) continue
      if (window.readUInt32BE(0) !== ELF) return []
      isElf = true
    }
    if (!isFound) {
      const at = window.indexOf(MARK)
      isFound = at >= 0
      window = window.subarray(isFound ? at : Math.max(0, window.length - MARK.length))
    }
    if (!isFound) continue
    const info = readInfo(window)
    if (info === 'invalid' || window.length > MAX_INFO_BYTES) return []
    if (info !== undefined) return modulesOf(info, evidence)
  }
  return []
}

/** `\x7fELF` */
const ELF = 0x7f454c46

interface Info {
  readonly goVersion: string
  readonly modules: string
}

/** Undefined where more bytes are needed. */
function readInfo(bytes: Buffer): Info | 'invalid' | undefined {
  if (bytes.length < HEAD_BYTES) return undefined
  if (((bytes[15] ?? 0) & INLINE_STRINGS) === 0) return 'invalid'
  const version = readText(bytes, HEAD_BYTES)
  if (version === undefined || version === 'invalid') return version
  const modules = readText(bytes, version.end)
  if (modules === undefined || modules === 'invalid') return modules
  return { goVersion: version.text.toString('utf8'), modules: modules.text.toString('latin1') }
}

/** A varint of the length, and the bytes. */
function readText(
  bytes: Buffer,
  start: number,
): { readonly text: Buffer; readonly end: number } | 'invalid' | undefined {
  let length = 0
  for (let at = start, factor = 1; at < start + 5; at++, factor *= 128) {
    const byte = bytes[at]
    if (byte === undefined) return undefined
    length += (byte & 127) * factor
    if (byte >= 128) continue
    if (length > MAX_INFO_BYTES) return 'invalid'
    const end = at + 1 + length
    return end > bytes.length ? undefined : { text: bytes.subarray(at + 1, end), end }
  }
  return 'invalid'
}

/** Sixteen bytes stand before and after the lines. */
const GUARD_BYTES = 16

function modulesOf({ goVersion, modules }: Info, evidence: string): readonly FoundPackage[] {
  const text = Buffer.from(modules.slice(GUARD_BYTES, -GUARD_BYTES), 'latin1').toString('utf8')
  const lines: { readonly name: string; readonly version: string }[] = []
  for (const line of text.split('\n').slice(0, MAX_PACKAGES_PER_FILE)) {
    const [kind, name = '', version = ''] = line.split('\t')
    if (kind === 'mod' || kind === 'dep') lines.push({ name, version })
    else if (kind === '=>' && lines.length > 0) lines[lines.length - 1] = { name, version }
  }
  const standard = { name: 'stdlib', version: goVersion.replace(/^go/, '').split(' ')[0] ?? '' }
  return [...lines, standard].flatMap(({ name, version }) => {
    const path = name.split('/')
    const known = version === '(devel)' ? '' : version
    const purl = formatPurl({
      type: 'golang',
      namespace: path.slice(0, -1).join('/'),
      name: path.at(-1) ?? '',
      version: known,
    })
    return foundPackage({ name, version: known, purl, evidence })
  })
}
