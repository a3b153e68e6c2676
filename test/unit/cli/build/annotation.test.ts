import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseAnnotation } from '../../../../src/cli/build/annotation.ts'

const HOST = { os: 'linux', architecture: 'amd64' }
const ARM64 = { os: 'linux', architecture: 'arm64' }
const refuse = (problem: string): Error => new Error(problem)
const parse = (text: string) => parseAnnotation(text, HOST, refuse)

describe('parseAnnotation()', () => {
  it('is of the manifest unless it says otherwise', () => {
    assert.deepEqual(parse('a=b=c'), [{ level: 'manifest', key: 'a', value: 'b=c' }])
    assert.deepEqual(parse('org.example:x=1'.replace(':', '.')), [
      { level: 'manifest', key: 'org.example.x', value: '1' },
    ])
    assert.deepEqual(parse('a='), [{ level: 'manifest', key: 'a', value: '' }])
  })

  it('takes levels and platforms', () => {
    assert.deepEqual(parse('index,manifest-descriptor[linux/arm64]:a=b'), [
      { level: 'index', key: 'a', value: 'b' },
      { level: 'manifest-descriptor', key: 'a', value: 'b', platform: ARM64 },
    ])
  })

  for (const text of ['noequals', 'x:y=z', '=v'])
    it(`refuses ${text}`, () => {
      assert.throws(() => parse(text), /--annotation/)
    })
})
