/** Debian's packages: `/var/lib/dpkg/status`, and a file each in `status.d` of images without dpkg. */
import { formatPurl } from '../purl.ts'
import type { Distribution } from './os-release.ts'
import { type FoundPackage, foundPackage, MAX_PACKAGES_PER_FILE } from './package.ts'

/** @param isInstalled where the database does not tell, because it lists nothing else */
export function parseDpkgStatus(
  text: string,
  evidence: string,
  distribution: Distribution | undefined,
  isInstalled = false,
): readonly FoundPackage[] {
  return text.split(/\n{2,}/, MAX_PACKAGES_PER_FILE).flatMap(block => {
    const fields = parseFields(block)
    const status = fields.get('status')
    if (status === undefined ? !isInstalled : !/ installed$/.test(status)) return []
    const name = fields.get('package') ?? ''
    const version = fields.get('version') ?? ''
    const purl = formatPurl({
      type: 'deb',
      namespace: distribution?.id ?? 'debian',
      name,
      version,
      qualifiers: {
        arch: fields.get('architecture'),
        distro: distribution?.label,
        upstream: upstream(fields.get('source'), name),
      },
    })
    return foundPackage({ name, version, purl, evidence })
  })
}

/** `Source: glibc (2.36-9)`; undefined where it is the package itself. */
function upstream(source: string | undefined, name: string): string | undefined {
  const [, found, version] = /^(\S+)(?: \((.+)\))?$/.exec(source ?? '') ?? []
  if (found === undefined || found === name) return undefined
  return version === undefined ? found : `${found}@${version}`
}

/** `Name: value`, with lines that go on left out: none of them is wanted. */
function parseFields(block: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of block.split('\n')) {
    const [, name, value = ''] = /^([A-Za-z-]+):[ \t]*(.*)$/.exec(line) ?? []
    if (name !== undefined) fields.set(name.toLowerCase(), value.trim())
  }
  return fields
}
