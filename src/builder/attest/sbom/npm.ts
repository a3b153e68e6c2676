/** Packages of npm: what is installed (`package.json` below `node_modules`), and what lock files name. */
import { isJsonObject, type JsonObject, parseJson } from '../../../oci/json.ts'
import { formatPurl } from '../purl.ts'
import { type FoundPackage, foundPackage, MAX_PACKAGES_PER_FILE } from './package.ts'

export function parsePackageJson(bytes: Buffer, evidence: string): readonly FoundPackage[] {
  const value = parseJson(bytes)
  if (!isJsonObject(value)) return []
  const { name, version, license } = value
  return npmPackage(name, version, evidence, licenseOf(license))
}

/** `package-lock.json` of every version, and `npm-shrinkwrap.json`, which is the same. */
export function parsePackageLock(bytes: Buffer, evidence: string): readonly FoundPackage[] {
  const value = parseJson(bytes)
  if (!isJsonObject(value)) return []
  if (isJsonObject(value.packages)) {
    return entries(value.packages).flatMap(([path, entry]) => {
      const at = path.lastIndexOf('node_modules/')
      if (at < 0 || entry.link === true) return []
      const name = typeof entry.name === 'string' ? entry.name : path.slice(at + 'node_modules/'.length)
      return npmPackage(name, entry.version, evidence, licenseOf(entry.license))
    })
  }
  const found: FoundPackage[] = []
  const waiting = isJsonObject(value.dependencies) ? [value.dependencies] : []
  for (let tree = waiting.pop(); tree !== undefined; tree = waiting.pop()) {
    for (const [name, entry] of entries(tree)) {
      found.push(...npmPackage(name, entry.version, evidence))
      if (isJsonObject(entry.dependencies)) waiting.push(entry.dependencies)
    }
    if (found.length > MAX_PACKAGES_PER_FILE) break
  }
  return found
}

/**
 * `yarn.lock` of version 1 and of later ones, which are YAML of the same look: a line of what was asked for, and below
 * it what it was resolved to.
 */
export function parseYarnLock(text: string, evidence: string): readonly FoundPackage[] {
  const found: FoundPackage[] = []
  let name: string | undefined
  for (const line of text.split('\n')) {
    if (found.length >= MAX_PACKAGES_PER_FILE) break
    const header = /^"?(@?[^@\s"]+)@(.*):\s*$/.exec(line)
    if (header !== null) {
      // The project itself, and others of its repository.
      name = /@?workspace:/.test(header[2] ?? '') ? undefined : header[1]
      continue
    }
    const version = /^ {2}version:? "?([^"\s]+)"?\s*$/.exec(line)?.[1]
    if (version !== undefined && name !== undefined) found.push(...npmPackage(name, version, evidence))
  }
  return found
}

/** The keys below `packages:` of `pnpm-lock.yaml`: `/a@1.0.0(peer@2)` and, of older versions, `/a/1.0.0_peer`. */
export function parsePnpmLock(text: string, evidence: string): readonly FoundPackage[] {
  const found: FoundPackage[] = []
  let isInside = false
  for (const line of text.split('\n')) {
    if (found.length >= MAX_PACKAGES_PER_FILE) break
    if (/^\S/.test(line)) isInside = line.trimEnd() === 'packages:'
    const key = isInside ? /^ {2}(?! )'?\/?([^'\s]+?)'?:\s*$/.exec(line)?.[1] : undefined
    const [, name, version] = /^(@[^/]+\/[^@/]+|[^@/]+)[@/]([^(_@]+)/.exec(key ?? '') ?? []
    if (name !== undefined) found.push(...npmPackage(name, version, evidence))
  }
  return found
}

function npmPackage(
  name: unknown,
  version: unknown,
  evidence: string,
  license?: string,
): readonly FoundPackage[] {
  // Not from a registry: a folder, a repository, an archive.
  if (typeof name !== 'string' || typeof version !== 'string' || /[:/]/.test(version)) return []
  const [, scope, base] = /^(?:(@[^/]+)\/)?([^/]+)$/.exec(name) ?? []
  if (base === undefined) return []
  const namespace = scope === undefined ? {} : { namespace: scope }
  const purl = formatPurl({ type: 'npm', ...namespace, name: base, version })
  return foundPackage({ name, version, purl, evidence, license })
}

/** Today's text, or what was written before there were expressions. */
function licenseOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return isJsonObject(value) && typeof value.type === 'string' ? value.type : undefined
}

function entries(value: JsonObject): readonly (readonly [string, JsonObject])[] {
  return Object.entries(value)
    .slice(0, MAX_PACKAGES_PER_FILE)
    .flatMap(([name, entry]) => (isJsonObject(entry) ? [[name, entry] as const] : []))
}
