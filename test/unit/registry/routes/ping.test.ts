import { describe, it } from 'node:test'
import { isError, openRegistry } from '../client.ts'

describe('ping', async () => {
  const { http } = await openRegistry()

  it('end-1: answers 200 with the version of the API', async () => {
    for (const path of ['/v2/', '/v2']) {
      await http
        .get(path)
        .expect(200, {})
        .expect('Content-Type', 'application/json')
        .expect('Docker-Distribution-API-Version', 'registry/2.0')
    }
  })

  it('end-1: answers HEAD', async () => {
    await http.head('/v2/').expect(200).expect('Content-Length', '2')
  })

  it('names the methods that there are, where another is tried', async () => {
    await http.post('/v2/').expect(405).expect('Allow', 'GET, HEAD').expect(isError('UNSUPPORTED'))
    await http.options('/v2/').expect(405).expect(isError('UNSUPPORTED'))
    await http
      .get('/v2/app/blobs/uploads/')
      .expect(405)
      .expect('Allow', 'POST')
      .expect(isError('UNSUPPORTED'))
  })

  it('answers 404 in the form of the specification elsewhere', async () => {
    await http.get('/').expect(404).expect(isError('UNSUPPORTED'))
    await http.post('/index').send({ a: 1 }).expect(404).expect(isError('UNSUPPORTED'))
    await http.get('/v2/app/things').expect(404).expect(isError('UNSUPPORTED'))
  })

  it('answers 400 to bad names and bad escapes', async () => {
    await http.get('/v2/App/tags/list').expect(400).expect(isError('NAME_INVALID'))
    await http.get('/v2/a%2Fb/tags/list').expect(400).expect(isError('NAME_INVALID'))
    await http.get('/v2/a%zz/tags/list').expect(400).expect(isError('NAME_INVALID'))
    await http.get('/v2/a%00/tags/list').expect(400).expect(isError('NAME_INVALID'))
    await http
      .get(`/v2/${'a/'.repeat(2000)}b/tags/list`)
      .expect(400)
      .expect(isError('NAME_INVALID'))
  })
})
