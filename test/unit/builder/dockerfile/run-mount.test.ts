import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRunMount } from '../../../../src/builder/dockerfile/run-mount.ts'
import { failureOf } from './parsing.ts'

const SPAN = { source: { name: 'Dockerfile', text: '' }, startLine: 3, endLine: 3 }

function parse(text: string): object {
  return parseRunMount(text, value => value.replace('$V', 'v'), SPAN)
}

const MOUNTS: readonly (readonly [text: string, expected: object])[] = [
  ['target=/a', { type: 'bind', target: '/a', readOnly: true, required: false }],
  [
    'type=bind,from=$V,src=$V,dst=/$V,rw',
    { type: 'bind', from: '$V', source: 'v', target: '/v', readOnly: false, required: false },
  ],
  [
    'TYPE=Cache,target=/a,id=b,sharing=LOCKED,mode=0755,uid=1,gid=2,ro',
    {
      type: 'cache',
      target: '/a',
      id: 'b',
      sharing: 'locked',
      mode: 0o755,
      uid: 1,
      gid: 2,
      readOnly: true,
      required: false,
    },
  ],
  [
    'type=tmpfs,target=/t,size=64m',
    { type: 'tmpfs', target: '/t', size: 64 * 1024 * 1024, readOnly: false, required: false },
  ],
  ['type=secret,id=s,env=S,required', { type: 'secret', id: 's', env: 'S', readOnly: true, required: true }],
  ['type=ssh,required=false', { type: 'ssh', readOnly: true, required: false }],
  [
    '"source=a,b",readwrite=false,target=/',
    { type: 'bind', source: 'a,b', target: '/', readOnly: true, required: false },
  ],
]

for (const [text, expected] of MOUNTS)
  test(`semantics 66-68: parseRunMount(${JSON.stringify(text)})`, () =>
    assert.deepEqual(parse(text), expected))

const REFUSED: readonly (readonly [text: string, message: RegExp])[] = [
  ['type=bnd', /"bnd"/],
  ['tagret=/a', /unknown key "tagret" \(did you mean target\?\)/],
  ['constructor=/a', /unknown key/],
  ['target', /target needs a value/],
  ['ro=maybe', /not true or false/],
  ['type=cache,sharing=mine', /sharing/],
  ['sharing=locked', /not for a mount of type bind/],
  ['type=bind,uid=1', /not for a mount of type bind/],
  ['type=cache,size=1', /not for a mount of type cache/],
  ['type=cache,mode=9', /octal/],
  ['type=cache,uid=4294967296', /number/],
  ['type=tmpfs,size=big', /size/],
  ['type=secret', /needs an id/],
  ['type=secret,id=a,source=b', /not both/],
  ['type=secret,id=a,from=b', /no from/],
  ['a"b=c', /CSV/],
  ['"a', /CSV/],
]

for (const [text, message] of REFUSED)
  test(`parseRunMount(${JSON.stringify(text)}) is refused`, () =>
    assert.match(failureOf(() => parse(text)).message, message))
