import { describe } from 'vitest'
import { findEtcd } from '../../support/etcd.ts'
import { describeWithEtcd } from '../../support/needs.ts'
import { referenceProxy } from './reference-proxy.ts'
import { runMeshCases } from './suite.ts'

describe('the mesh', () => {
  if (findEtcd() !== undefined) runMeshCases(referenceProxy, ['files', 'etcd'], { isThorough: true })
  else {
    runMeshCases(referenceProxy, ['files'])
    describeWithEtcd('a reference proxy, from etcd', () => {})
  }
})
