import { describe } from 'vitest'
import { findEtcd } from '../../support/etcd.ts'
import { describeWithEtcd } from '../../support/needs.ts'
import { referenceProxy } from './reference-proxy.ts'
import { runMeshCases } from './suite.ts'

const form = process.env['FAIRLEAD_TEST_LONG'] === '1' ? 'thorough' : 'brief'

describe('the mesh', () => {
  if (findEtcd() !== undefined) runMeshCases(referenceProxy, ['files', 'etcd'], { form })
  else {
    runMeshCases(referenceProxy, ['files'], { form })
    describeWithEtcd('a reference proxy, from etcd', () => {})
  }
})
