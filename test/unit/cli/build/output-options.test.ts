import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Arguments } from '../../../../src/cli/arguments.ts'
import { readOutputOptions } from '../../../../src/cli/build/output-options.ts'
import { fakeTerminal } from '../fake-terminal.ts'

const refuse = (problem: string): Error => new Error(problem)

function outputs(values: Readonly<Record<string, string | readonly string[]>>) {
  const given = Object.entries(values).map(([name, value]) => [name, [value].flat()] as const)
  return readOutputOptions(new Arguments([], new Map(given)), fakeTerminal(), refuse).outputs
}

describe('readOutputOptions()', () => {
  it('--push pushes the image of the store, beside other outputs', () => {
    assert.deepEqual(outputs({ push: 'true' }), [{ type: 'store', push: 'by-tag' }])
    assert.deepEqual(
      outputs({ push: 'true', output: 'type=cacheonly' }).map(({ type }) => type),
      ['cacheonly', 'store'],
    )
    assert.deepEqual(outputs({ push: 'true', output: 'type=image' }), [{ type: 'store', push: 'by-tag' }])
  })

  it('--load keeps the image in the store', () => {
    assert.deepEqual(outputs({ load: 'true' }), [{ type: 'store' }])
    assert.deepEqual(outputs({ load: 'true', output: 'type=store' }), [{ type: 'store' }])
  })

  it('type=registry and push=true push; push-by-digest gives no name', () => {
    assert.deepEqual(outputs({ output: 'type=registry' }), [{ type: 'store', push: 'by-tag' }])
    assert.deepEqual(outputs({ output: 'type=image,push=true,name-canonical=true' }), [
      { type: 'store', push: 'by-tag' },
    ])
    assert.deepEqual(outputs({ output: 'type=image,push-by-digest=true' }), [
      { type: 'store', push: 'by-digest' },
    ])
    assert.deepEqual(outputs({ output: 'type=image,push=false' }), [{ type: 'store' }])
  })

  it('--annotation is of every image that is written, also of the one that is by default', () => {
    const [output] = outputs({ annotation: 'a=b' })
    assert.deepEqual(output?.type === 'store' && output.settings?.annotations, [
      { level: 'manifest', key: 'a', value: 'b' },
    ])
    const [files] = outputs({ annotation: 'a=b', output: 'type=tar,dest=x.tar' })
    assert.deepEqual(Object.keys(files ?? {}).toSorted(), ['dest', 'type'])
  })

  for (const output of [
    'type=image,push=maybe',
    'type=registry,registry.insecure=true',
    'type=image,store=false',
    'type=oci,dest=x,push=true',
  ])
    it(`refuses ${output}`, () => {
      assert.throws(() => outputs({ output }))
    })
})
