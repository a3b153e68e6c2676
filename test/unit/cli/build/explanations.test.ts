import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Parts, Reason } from '../../../../src/builder/solve/explain.ts'
import { formatExplanations } from '../../../../src/cli/build/explanations.ts'
import { digestOf } from '../../../../src/oci/digest.ts'

function told(reason: Reason): readonly string[] {
  const [title, step, ...lines] = formatExplanations([{ name: '[2/2] RUN make', reason }])
    .trimEnd()
    .split('\n')
  assert.deepEqual([title, step], ['Why steps ran:', '  [2/2] RUN make'])
  return lines.map(line => line.replace(/^ {4}/, ''))
}

function changed(before: Parts, after: Parts, more: Partial<Extract<Reason, { kind: 'changed' }>> = {}) {
  return told({ kind: 'changed', before, after, ...more })
}

const [A, B] = [digestOf('a'), digestOf('b')]
const shortA = A.slice(0, 19)
const shortB = B.slice(0, 19)

describe('formatExplanations()', () => {
  it('says that nothing ran', () => {
    assert.equal(formatExplanations([]), 'Every step was cached.\n')
  })

  it('says why there was nothing to compare with', () => {
    assert.deepEqual(told({ kind: 'no-record' }), ['there is no earlier record of it'])
    assert.deepEqual(told({ kind: 'no-cache' }), ['the cache was not to be used'])
    assert.deepEqual(told({ kind: 'never-cached' }), ['such a step is never cached'])
    assert.deepEqual(told({ kind: 'layer-lost' }), ['its layer is not in the store any more'])
  })

  it('names arguments and variables, but not what a secret is', () => {
    const before: Parts = [
      ['kind', 'run'],
      ['argument', '/bin/sh'],
      ['argument', 'make'],
      ['variable', 'API_TOKEN=old'],
      ['variable', 'GONE=1'],
      ['variable', 'V=1'],
      ['user', ''],
    ]
    const after: Parts = [
      ['kind', 'run'],
      ['argument', '/bin/sh'],
      ['argument', 'make all'],
      ['variable', 'API_TOKEN=new'],
      ['variable', 'NEW=1'],
      ['variable', 'V=2'],
      ['user', ''],
    ]
    assert.deepEqual(changed(before, after, { instruction: 'RUN make' }), [
      'the nearest earlier record is of "RUN make"',
      'argument: was "make", is "make all"',
      'variable API_TOKEN: was (hidden), is (hidden)',
      'variable GONE: is gone, was "1"',
      'variable V: was "1", is "2"',
      'variable NEW: is new, "1"',
    ])
  })

  it('tells a new base from an earlier step with another result', () => {
    const before: Parts = [['parent', A]]
    const after: Parts = [['parent', B]]
    assert.deepEqual(changed(before, after, { parent: { name: '[1/2] FROM debian', kind: 'base' } }), [
      `the base of "[1/2] FROM debian": was ${shortA}, is ${shortB}`,
    ])
    assert.deepEqual(changed(before, after, { parent: { name: '[1/2] COPY a /', kind: 'layer' } }), [
      `the earlier step "[1/2] COPY a /" has another result: was ${shortA}, is ${shortB}`,
    ])
  })

  it('names the files that changed, were added or removed, also one that is called like a part', () => {
    const before: Parts = [
      ['kind', 'copy'],
      ['parent', A],
      ['source', 'directory of 4'],
      ['gone', `file 0644 0:0 1 ${A}`],
      ['link', 'symlink 0777 0:0 -> a'],
      ['parent', `file 0644 0:0 1 ${A}`],
      ['source', `file 0644 0:0 1 ${A}`],
    ]
    const after: Parts = [
      ['kind', 'copy'],
      ['parent', A],
      ['source', 'directory of 4'],
      ['link', 'symlink 0777 0:0 -> b'],
      ['new', `file 0644 0:0 1 ${A}`],
      ['parent', `file 0755 0:0 1 ${A}`],
      ['source', `file 0644 0:0 2 ${B}`],
    ]
    assert.deepEqual(changed(before, after), [
      'file "gone": is gone',
      'file "link": was symlink 0777 0:0 -> a, is symlink 0777 0:0 -> b',
      'file "parent": mode was 0644, is 0755',
      `file "source": size was 1, is 2, content was ${shortA}, is ${shortB}`,
      'file "new": is new',
    ])
  })

  it('tells what is at a URL now, and when the server says that it changed', () => {
    const before: Parts = [
      ['source', 'URL'],
      ['plain', `${A} 1700000000`],
    ]
    assert.deepEqual(
      changed(before, [
        ['source', 'URL'],
        ['plain', `${B} 1700000001`],
      ]),
      [
        `file of a URL "plain": content was ${shortA}, is ${shortB}, ` +
          'Last-Modified was 2023-11-14T22:13:20Z, is 2023-11-14T22:13:21Z',
      ],
    )
    assert.deepEqual(
      changed(before, [
        ['source', 'archive of a URL'],
        ['plain', `${A} no time`],
      ]),
      ['file of a URL "plain": Last-Modified was 2023-11-14T22:13:20Z, is not told'],
    )
    assert.deepEqual(
      changed(before, [
        ['source', 'URL'],
        ['plain', B],
      ]),
      [`file of a URL "plain": was ${shortA} 1700000000, is ${shortB}`],
    )
    assert.deepEqual(
      changed(before, [
        ['source', 'URL'],
        ['plain', `${A} ${'9'.repeat(30)}`],
      ]),
      [`file of a URL "plain": Last-Modified was 2023-11-14T22:13:20Z, is ${'9'.repeat(30)}`],
    )
  })

  it('tells the commit of a repository', () => {
    const repository = (commit: string): Parts => [
      ['source', 'Git repository'],
      ['commit', commit],
    ]
    assert.deepEqual(changed(repository('aaa'), repository('bbb')), [
      'commit (Git repository): was aaa, is bbb',
    ])
  })

  it('names the mount that a file is in, also where a file is called like one', () => {
    const before: Parts = [
      ['mount', 'bind ro /a'],
      ['source', 'file'],
      ['', `file 0644 0:0 1 ${A}`],
      ['mount', 'bind ro /b'],
      ['source', 'directory of 1'],
      ['mount', `file 0644 0:0 1 ${A}`],
    ]
    const after: Parts = [
      ['mount', 'bind ro /a'],
      ['source', 'file'],
      ['', `file 0644 0:0 1 ${B}`],
      ['mount', 'bind rw /b'],
      ['source', 'directory of 1'],
      ['mount', `file 0755 0:0 1 ${A}`],
    ]
    assert.deepEqual(changed(before, after), [
      'mount: was "bind ro /b", is "bind rw /b"',
      `mount "/a": content was ${shortA}, is ${shortB}`,
      'file "mount" of mount "/b": mode was 0644, is 0755',
    ])
  })

  it('is bounded, and safe to print', () => {
    const files = Array.from({ length: 50 }, (_, index): [string, string] => [
      `f${index}`,
      `file 0644 0:0 1 ${A}`,
    ])
    const lines = changed([['source', 'directory of 0']], [['source', 'directory of 50'], ...files])
    assert.equal(lines.length, 13)
    assert.equal(lines.at(-1), 'and 38 more')
    const [hostile = ''] = changed([['argument', 'a']], [['argument', `\u001b[2J\n${'x'.repeat(9999)}`]])
    assert.ok(!hostile.includes('\u001b') && hostile.length < 300, hostile)
  })
})
