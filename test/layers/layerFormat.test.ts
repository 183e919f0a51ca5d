/** The bytes of a layer: golden, round trips, and damage of every kind. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { checksum64 } from '../../layers/checksum.js';
import {
  decodeHeader,
  decodeIndex,
  decodeTrailer,
  encodeIndex,
  encodeTrailer,
  TRAILER_BYTES,
} from '../../layers/layerFormat.js';
import { FRAMES_START, validateLayerIndex } from '../../layers/layerIndex.js';
import { openLayer } from '../../layers/layerReader.js';
import { writeLayer } from '../../layers/layerWriter.js';
import { openLocalObjectStore } from '../../layers/localObjectStore.js';
import { errorCode } from '../../proto/errors.js';
import { dataOf, describe, layerFile, readRun, run } from './layerFixture.js';
import { MemoryDisk } from './memoryDisk.js';

const REFUSALS = ['CORRUPT', 'UNSUPPORTED'];

/** The tiny layer, by hand. Each line: hex of one or some fields. */
const GOLDEN = [
  '4f444c4159455200 01000000 40000000', // header: magic, version 1, 64 bytes
  'd0000000000040008000 0000000000d1', // database
  '01900000000070008000 0000000000a1', // layer
  '0000000000000000 HEADER__CHECKSUM',
  '68656c6c6f', // the frame: hello
  '01900000000070008000 0000000000a1', // index: layer
  'd0000000000040008000 0000000000d1', // database
  '01900000000070008000 0000000000b1', // snapshot
  '00000000000000000000 000000000000', // no parent
  '0300000000000000 1100000000000000', // sequence 3, version 17
  'c869e5cf8b010000', // commit time 1 700 000 000 456
  '09000000 01000000', // next file id 9, flags: full
  '01000000 01000000 01000000 00000000', // 1 file, 1 frame, 1 hole
  '0400 74696e79', // name: tiny
  '02000000 a0010000 e8030000 64000000', // file 2, mode 640, uid 1000, gid 100
  '7b68e5cf8b010000 0020000000000000', // modified, 8192 bytes
  '0700 2e6475636b6462', // .duckdb
  '02000000 00 000000 0010000000000000', // frame of file 2, codec none, file offset 4096
  '0000000000000000 05000000 05000000', // data offset 0, 5 bytes, 5 stored
  '4000000000000000 FRAME___CHECKSUM', // object offset 64
  '02000000 00000000', // hole in file 2
  '0000000000000000 0010000000000000', // 0 … 4096
  '4500000000000000 e700000000000000', // trailer: index at 69, 231 bytes
  '0500000000000000 INDEX___CHECKSUM', // 5 data bytes
  '01000000 000000000000000000000000', // version 1
  'TRAILER_CHECKSUM 4f444c4159455200', // magic
];

/** XXH64 values, little-endian; a change of any byte of the format changes one of them. */
const GOLDEN_CHECKSUMS = {
  HEADER__CHECKSUM: '7c7b51229aa28d87',
  FRAME___CHECKSUM: 'a36d9f887d82c726',
  INDEX___CHECKSUM: 'b8fbc6208ac86acb',
  TRAILER_CHECKSUM: '3b2527ee44e7a34a',
};

function goldenBytes(): Buffer {
  let hex = GOLDEN.join('').replaceAll(' ', '');
  for (const [name, value] of Object.entries(GOLDEN_CHECKSUMS)) hex = hex.replace(name, value);
  return Buffer.from(hex, 'hex');
}

async function tinyLayer(): Promise<Buffer> {
  const disk = new MemoryDisk();
  const description = describe([layerFile(2, '.duckdb', 8192)]);
  const hello = async (_file: number, _offset: number, buffer: Buffer, at: number) => {
    buffer.write('hello', at);
  };
  await writeLayer(disk, '/tiny', description, [run(2, 4096, 5)], [run(2, 0, 4096)], hello);
  return disk.peek('/tiny')!;
}

/** A layer of a few hundred bytes with two files, three frames and a hole. */
const SMALL_RUNS = [run(1, 0, 40), run(1, 100, 30), run(4, 7, 20)];
async function smallLayer(): Promise<Buffer> {
  const disk = new MemoryDisk();
  const files = [layerFile(1, '.duckdb', 500), layerFile(4, '.duckdb.wal', 27)];
  await writeLayer(disk, '/small', describe(files), SMALL_RUNS, [run(1, 200, 9)], readRun);
  return disk.peek('/small')!;
}

/** What opening, reading all and verifying an object with these bytes comes to. */
async function examine(bytes: Buffer): Promise<{ data: Buffer | string; verified: string }> {
  const disk = new MemoryDisk();
  disk.poke('/objects/layer', bytes);
  const store = await openLocalObjectStore(disk, '/objects');
  let data: Buffer | string;
  let verified = 'ok';
  try {
    const layer = await openLayer(store, 'layer');
    const buffer = Buffer.alloc(layer.dataBytes);
    await layer.verifyAll().catch((error) => (verified = errorCode(error)));
    const read = layer.read(buffer, 0, buffer.length, 0);
    data = await read.then(
      () => buffer,
      (error) => errorCode(error),
    );
    await layer.close();
  } catch (error) {
    data = errorCode(error);
    verified = data;
  }
  assert.equal(disk.openFiles, 0);
  return { data, verified };
}

suite('layer format', () => {
  test('checksum64 is XXH64: published test vectors', () => {
    const vectors: [text: string, seed: bigint | undefined, checksum: bigint][] = [
      ['', undefined, 0xef46db3751d8e999n],
      ['', 1n, 0xd5afba1336a3be4bn],
      ['a', undefined, 0xd24ec4f1a98c6e5bn],
      ['abc', 0n, 0x44bc2cf5ad770999n],
      ['xxhash', undefined, 0x32dd38952c4bc720n],
      ['xxhash', 20141025n, 0xb559b98d844e0635n],
      ['Nobody inspects the spammish repetition', undefined, 0xfbcea83c8a378bf1n],
    ];
    for (const [text, seed, checksum] of vectors) {
      assert.equal(checksum64(Buffer.from(text), seed), checksum, `${text}, seed ${seed}`);
    }
  });

  test('golden bytes of a tiny layer', async () => {
    const bytes = await tinyLayer();
    assert.equal(bytes.toString('hex'), goldenBytes().toString('hex'));
    const header = decodeHeader(bytes.subarray(0, FRAMES_START), 'golden');
    const { layer, database } = describe([]);
    assert.deepEqual(header, { layer, database });
  });

  test('every flipped bit is found, and gives no wrong byte', async () => {
    const whole = await smallLayer();
    const right = dataOf(SMALL_RUNS);
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const damaged = Buffer.from(whole);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      const { data, verified } = await examine(damaged);
      const where = `bit ${bit & 7} of byte ${bit >> 3}`;
      assert.ok(REFUSALS.includes(verified), `${where}: verifyAll ${verified}`);
      if (typeof data === 'string') assert.ok(REFUSALS.includes(data), `${where}: ${data}`);
      else assert.deepEqual(data, right, where);
    }
  });

  test('every truncation is CORRUPT', async () => {
    const whole = await smallLayer();
    for (let length = 0; length < whole.length; length++) {
      const { data } = await examine(whole.subarray(0, length));
      assert.equal(data, 'CORRUPT', `${length} bytes`);
    }
    assert.deepEqual((await examine(whole)).data, dataOf(SMALL_RUNS));
  });

  test('an index with right checksums and any flipped bit is refused or sound', async () => {
    const whole = await smallLayer();
    const trailer = decodeTrailer(whole.subarray(-TRAILER_BYTES), whole.length, 'small');
    const { indexOffset, indexLength } = trailer;
    const index = whole.subarray(indexOffset, indexOffset + indexLength);
    let refused = 0;
    for (let bit = 0; bit < index.length * 8; bit++) {
      const forged = Buffer.from(index);
      forged[bit >> 3]! ^= 1 << (bit & 7);
      try {
        const indexChecksum = checksum64(forged);
        const decoded = decodeIndex(forged, { ...trailer, indexChecksum }, 'forged');
        validateLayerIndex(decoded, 'forged');
        assert.deepEqual(encodeIndex(decoded), forged, `bit ${bit} was ignored`);
      } catch (error) {
        assert.ok(REFUSALS.includes(errorCode(error)), `bit ${bit}: ${error}`);
        refused++;
      }
    }
    assert.ok(refused > 0);
    for (let length = 0; length < index.length; length++) {
      const cut = index.subarray(0, length);
      const forged = { ...trailer, indexChecksum: checksum64(cut) };
      assert.throws(
        () => decodeIndex(cut, forged, 'cut'),
        (error) => errorCode(error) === 'CORRUPT',
      );
    }
  });

  test('a newer format is UNSUPPORTED', async () => {
    const bytes = await smallLayer();
    const trailer = bytes.subarray(-TRAILER_BYTES);
    trailer.writeUInt32LE(2, 32);
    trailer.writeBigUInt64LE(checksum64(trailer.subarray(0, 48)), 48);
    assert.equal((await examine(bytes)).data, 'UNSUPPORTED');
  });

  test('a trailer beyond 2^53 or out of the object is CORRUPT', () => {
    const sound = { indexOffset: 64, indexLength: 10, dataBytes: 0, indexChecksum: 0n };
    const size = 64 + 10 + TRAILER_BYTES;
    assert.deepEqual(decodeTrailer(encodeTrailer(sound), size, 't'), sound);
    for (const [at, value] of [
      [0, 2n ** 64n - 1n],
      [8, 11n],
      [16, 2n ** 53n],
    ] as const) {
      const bytes = encodeTrailer(sound);
      bytes.writeBigUInt64LE(value, at);
      bytes.writeBigUInt64LE(checksum64(bytes.subarray(0, 48)), 48);
      assert.throws(
        () => decodeTrailer(bytes, size, 't'),
        (error) => errorCode(error) === 'CORRUPT',
      );
    }
  });
});
