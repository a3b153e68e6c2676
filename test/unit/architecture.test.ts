import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { describe, it } from 'node:test'

const SRC = resolve(import.meta.dirname, '../../src')

/** Who may import whom. `cli` wires everything and is not listed; builder and registry never meet. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  oci: [],
  linux: [],
  store: ['oci'],
  remote: ['oci'],
  registry: ['remote', 'store', 'oci'],
  builder: ['remote', 'store', 'linux', 'oci'],
}

/** Packages that only one area may know; the rest of the code sees them through that area. */
const PACKAGE_HOMES: Readonly<Record<string, readonly string[]>> = {
  koffi: ['linux'],
  fastify: ['registry'],
  bcryptjs: ['registry'],
  'dockerfile-ast': ['builder'],
  'tar-stream': ['store', 'builder'],
  'sha256-uint8array': ['store'],
  '@ltd/j-toml': ['cli'],
}

interface Import {
  readonly file: string
  readonly area: string
  readonly specifier: string
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))
const imports = files.flatMap(importsOf)

describe('architecture', () => {
  it('has sources and imports to check', () => {
    assert.ok(files.length > 50, `${files.length} files`)
    assert.ok(imports.length > 100, `${imports.length} imports`)
  })

  it('lets each area import only the areas below it', () => {
    const broken = imports.flatMap(({ file, area, specifier }) => {
      if (!specifier.startsWith('.')) return []
      const target = relative(SRC, resolve(SRC, dirname(file), specifier)).split(sep)[0] ?? ''
      const allowed = target === area || area === 'cli' || MAY_IMPORT[area]?.includes(target)
      return allowed ? [] : [`${file} imports ${specifier}: ${area} may not know ${target}`]
    })
    assert.deepEqual(broken, [])
  })

  it('has no import cycles, those of types included', () => {
    assert.deepEqual(importCycles(), [])
  })

  it('keeps each package in its home', () => {
    const broken = imports.flatMap(({ file, area, specifier }) => {
      if (specifier.startsWith('.') || specifier.startsWith('node:')) return []
      return PACKAGE_HOMES[specifier]?.includes(area) ? [] : [`${file} imports ${specifier}`]
    })
    assert.deepEqual(broken, [])
  })

  it('keeps src/oci pure: no files, sockets, processes or clock', () => {
    const impure = /^node:(fs|net|http|https|tls|dgram|child_process|cluster|worker_threads|os|process)(\/|$)/
    assert.deepEqual(
      imports
        .filter(({ area, specifier }) => area === 'oci' && impure.test(specifier))
        .map(({ file, specifier }) => `${file} imports ${specifier}`),
      [],
    )
  })

  it('reads the process and the clock only in src/cli, the wiring', () => {
    const broken = files.flatMap(file => {
      if (file.startsWith(`cli${sep}`)) return []
      const uses =
        /\bprocess\.(argv|env|exit|exitCode|stdin|stdout|stderr|cwd|on)\b|\bDate\.now\(|\bnew Date\(\)|\bperformance\./.exec(
          sourceOf(file),
        )
      return uses === null ? [] : [`${file} uses ${uses[0]}`]
    })
    assert.deepEqual(broken, [])
  })

  it('has no barrel index.ts and no folder for leftovers', () => {
    assert.deepEqual(
      files.filter(file => /(^|\/)(index\.ts|(utils?|common|helpers?)(\.ts|\/))/.test(file)),
      [],
    )
  })
})

function importsOf(file: string): Import[] {
  const area = file.split(sep)[0] ?? ''
  const statements = sourceOf(file).matchAll(/(?:\bfrom\s+|\bimport\s*\(\s*|^import\s+)(['"])([^'"]+)\1/gm)
  return Array.from(statements, match => ({ file, area, specifier: match[2] ?? '' }))
}

/** Depth first: an import of a file that the walk is still inside of closes a cycle. */
function importCycles(): string[] {
  const targets = Map.groupBy(
    imports.filter(({ specifier }) => specifier.startsWith('.')),
    ({ file }) => file,
  )
  const cycles: string[] = []
  const left = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) cycles.push([...path.slice(start), file].join(' -> '))
    if (start >= 0 || left.has(file)) return
    for (const { specifier } of targets.get(file) ?? [])
      visit(relative(SRC, resolve(SRC, dirname(file), specifier)), [...path, file])
    left.add(file)
  }
  for (const file of files) visit(file, [])
  return cycles
}

/** The source without comments, so that an example in a docstring does not count. */
function sourceOf(file: string): string {
  return readFileSync(join(SRC, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
}
