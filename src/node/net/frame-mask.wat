;; Masks bytes of the memory with a key (RFC 6455 section 5.3), 64 at a time. mask-memory.ts holds what this compiles to.
(module
  (import "linksocks" "memory" (memory 1))
  ;; from, to: where the bytes begin and end; key: over the first four bytes, the first one in the lowest bits
  (func (export "mask") (param $from i32) (param $to i32) (param $key i32)
    (local $keys v128)
    (local.set $keys (i32x4.splat (local.get $key)))
    (block $few
      (loop $many
        (br_if $few (i32.lt_u (i32.sub (local.get $to) (local.get $from)) (i32.const 64)))
        (v128.store (local.get $from) (v128.xor (v128.load (local.get $from)) (local.get $keys)))
        (v128.store offset=16 (local.get $from) (v128.xor (v128.load offset=16 (local.get $from)) (local.get $keys)))
        (v128.store offset=32 (local.get $from) (v128.xor (v128.load offset=32 (local.get $from)) (local.get $keys)))
        (v128.store offset=48 (local.get $from) (v128.xor (v128.load offset=48 (local.get $from)) (local.get $keys)))
        (local.set $from (i32.add (local.get $from) (i32.const 64)))
        (br $many)))
    (block $none
      (loop $one
        (br_if $none (i32.ge_u (local.get $from) (local.get $to)))
        (i32.store8 (local.get $from) (i32.xor (i32.load8_u (local.get $from)) (local.get $key)))
        (local.set $key (i32.rotr (local.get $key) (i32.const 8)))
        (local.set $from (i32.add (local.get $from) (i32.const 1)))
        (br $one)))))
