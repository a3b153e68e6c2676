/** Alpine's packages: `/lib/apk/db/installed`, a letter for each field. */
import { formatPurl } from '../purl.ts'
import type { Distribution } from './os-release.ts'
import { type FoundPackage, foundPackage, MAX_PACKAGES_PER_FILE } from './package.ts'

export interface ApkDatabase {
  readonly packages: readonly FoundPackage[]
  /** Paths of all their files. */
  readonly files: readonly string[]
}

export function parseApkDatabase(
  text: string,
  evidence: string,
  distribution: Distribution | undefined,
): ApkDatabase {
  const packages: FoundPackage[] = []
  const files: string[] = []
  for (const block of text.split(/\n{2,}/, MAX_PACKAGES_PER_FILE)) {
    const fields = new Map<string, string>()
    let folder = ''
    for (const line of block.split('\n')) {
      if (line[1] !== ':') continue
      const value = line.slice(2)
      if (line[0] === 'F') folder = value
      else if (line[0] === 'R') files.push(folder === '' ? value : `${folder}/${value}`)
      else fields.set(line[0] ?? '', value)
    }
    const name = fields.get('P') ?? ''
    const version = fields.get('V') ?? ''
    const origin = fields.get('o')
    const purl = formatPurl({
      type: 'apk',
      namespace: distribution?.id ?? 'alpine',
      name,
      version,
      qualifiers: {
        arch: fields.get('A'),
        distro: distribution?.label,
        upstream: origin === name ? undefined : origin,
      },
    })
    packages.push(...foundPackage({ name, version, purl, evidence, license: fields.get('L') }))
  }
  return { packages, files }
}
