/** Python's packages: `METADATA` of `*.dist-info`, and `PKG-INFO` of the older `*.egg-info`. */
import { formatPurl } from '../purl.ts'
import { type FoundPackage, foundPackage } from './package.ts'

export function parsePythonMetadata(text: string, evidence: string): readonly FoundPackage[] {
  const fields = new Map<string, string>()
  const classifiers: string[] = []
  for (const line of text.split('\n')) {
    // After the head comes the description.
    if (line.trim() === '') break
    const [, name = '', value = ''] = /^([A-Za-z-]+): (.*)$/.exec(line) ?? []
    if (name === 'Classifier') classifiers.push(value.trim())
    else if (!fields.has(name)) fields.set(name, value.trim())
  }
  const name = fields.get('Name') ?? ''
  const version = fields.get('Version') ?? ''
  // PEP 503: how the index compares names.
  const purl = formatPurl({ type: 'pypi', name: name.toLowerCase().replace(/[-_.]+/g, '-'), version })
  const license = fields.get('License-Expression') ?? known(fields.get('License')) ?? classified(classifiers)
  return foundPackage({ name, version, purl, evidence, license })
}

function known(license: string | undefined): string | undefined {
  return license === undefined || /^(unknown|)$/i.test(license) ? undefined : license
}

/** `License :: OSI Approved :: MIT License` */
function classified(classifiers: readonly string[]): string | undefined {
  const found = classifiers
    .filter(text => text.startsWith('License ::'))
    .map(text => text.split(' :: ').at(-1))
  return found.length === 1 ? found[0] : undefined
}
