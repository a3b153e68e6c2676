/** Lock files of Rust, Ruby and PHP. */
import { isJsonObject, parseJson } from '../../../oci/json.ts'
import { formatPurl } from '../purl.ts'
import { type FoundPackage, foundPackage, MAX_PACKAGES_PER_FILE } from './package.ts'

/** `Cargo.lock`: packages from a registry or a repository; those without a source are the project's own. */
export function parseCargoLock(text: string, evidence: string): readonly FoundPackage[] {
  const blocks = text.split(/^\[\[package\]\]\s*$/m).slice(1, MAX_PACKAGES_PER_FILE)
  return blocks.flatMap(block => {
    const field = (name: string): string | undefined =>
      new RegExp(`^${name} = "([^"]*)"\\s*$`, 'm').exec(block)?.[1]
    const name = field('name') ?? ''
    const version = field('version') ?? ''
    if (field('source') === undefined) return []
    return foundPackage({ name, version, purl: formatPurl({ type: 'cargo', name, version }), evidence })
  })
}

/** `Gemfile.lock`: the specs of section GEM, four spaces deep. */
export function parseGemfileLock(text: string, evidence: string): readonly FoundPackage[] {
  const found: FoundPackage[] = []
  let isInside = false
  for (const line of text.split('\n').slice(0, MAX_PACKAGES_PER_FILE)) {
    if (/^\S/.test(line)) isInside = line.trimEnd() === 'GEM'
    const [, name, version] = (isInside ? /^ {4}(\S+) \(([^)\s]+)\)\s*$/.exec(line) : null) ?? []
    if (name !== undefined) found.push(...gem(name, version ?? '', evidence))
  }
  return found
}

/** An installed gem, by the name of its file in `specifications/`: `rake-13.0.6.gemspec`. */
export function gemOfSpecification(fileName: string, evidence: string): readonly FoundPackage[] {
  const [, name, version] = /^(.+?)-(\d[^-]*)(?:-[^/]*)?\.gemspec$/.exec(fileName) ?? []
  return name === undefined ? [] : gem(name, version ?? '', evidence)
}

function gem(name: string, version: string, evidence: string): readonly FoundPackage[] {
  return foundPackage({ name, version, purl: formatPurl({ type: 'gem', name, version }), evidence })
}

/** `composer.lock`, and `vendor/composer/installed.json`, which lists what is there. */
export function parseComposer(bytes: Buffer, evidence: string): readonly FoundPackage[] {
  const value = parseJson(bytes)
  if (!isJsonObject(value)) return []
  const lists = [value.packages, value['packages-dev']].filter(Array.isArray)
  const packages: readonly unknown[] = lists.flat()
  return packages.slice(0, MAX_PACKAGES_PER_FILE).flatMap(item => {
    if (!isJsonObject(item)) return []
    const { name, version, license } = item
    if (typeof name !== 'string' || typeof version !== 'string') return []
    const [namespace = '', base = ''] = name.split('/')
    const licenses = Array.isArray(license) ? license.filter(text => typeof text === 'string') : []
    const purl = formatPurl({ type: 'composer', namespace, name: base, version })
    return foundPackage({ name, version, purl, evidence, license: licenses.join(' OR ') })
  })
}
