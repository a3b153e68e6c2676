import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { succeed } from './process.ts'

/** The documents of a YAML file, as Debian's python3-yaml reads them. */
export async function readYaml(path: string): Promise<readonly unknown[]> {
  const program = 'import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)'
  return JSON.parse(await succeed('/usr/bin/python3', ['-c', program], { input: await readFile(path) }))
}

/**
 * What a value may be: `text` for anything without members, a list of what its items may be, or members by name, of which
 * all are known (`*` stands for names that are free).
 */
export type Shape = 'text' | readonly [Shape] | { readonly [name: string]: Shape }

/** @throws AssertionError that names the first place which is not of the shape */
export function assertShape(value: unknown, shape: Shape, place: string): void {
  if (shape === 'text') {
    assert.ok(typeof value !== 'object' || value === null, `${place} has members`)
  } else if (isList(shape)) {
    assert.ok(Array.isArray(value), `${place} is no list`)
    for (const [index, item] of value.entries()) assertShape(item, shape[0], `${place}[${index}]`)
  } else {
    assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value), `${place} has no members`)
    for (const [name, member] of Object.entries(value)) {
      const known = Object.hasOwn(shape, name) ? shape[name] : shape['*']
      assert.ok(known, `${place}.${name} is not known`)
      assertShape(member, known, `${place}.${name}`)
    }
  }
}

function isList(shape: Exclude<Shape, 'text'>): shape is readonly [Shape] {
  return Array.isArray(shape)
}
