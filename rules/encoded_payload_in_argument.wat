;; Passes an event if some argument holds 160 characters of base64 or more in a row, capital letters, small letters and
;; digits among them; adds how many to the alert. The ABI is described in docs/host-abi.md.
(module
  (import "kestrel_lab_v1" "field" (func $field (param i32 i32) (result i32)))
  (import "kestrel_lab_v1" "capture" (func $capture (param i32 i32) (result i32)))
  (import "kestrel_lab_v1" "count" (func $count (param i32 i32) (result i32)))
  (import "kestrel_lab_v1" "str_copy" (func $str_copy (param i32 i32 i32 i32 i32) (result i32)))
  (import "kestrel_lab_v1" "capture_i64" (func $capture_i64 (param i32 i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "process.args")
  (data (i32.const 16) "base64_characters")
  (global $args (mut i32) (i32.const 0))
  (global $found (mut i32) (i32.const 0))

  (func (export "pred_init") (result i32)
    (global.set $args (call $field (i32.const 0) (i32.const 12)))
    (global.set $found (call $capture (i32.const 16) (i32.const 17)))
    (i32.const 1))

  (func (export "pred_eval") (param $stage i32) (param $row i32) (result i32)
    (i32.ge_u (call $longest (local.get $row)) (i32.const 160)))

  (func (export "pred_capture") (param $stage i32) (param $row i32)
    (call $capture_i64 (global.get $found) (i64.extend_i32_u (call $longest (local.get $row)))))

  ;; The length of the longest run in any argument that holds all three kinds, 0 if none does.
  (func $longest (param $row i32) (result i32)
    (local $item i32) (local $items i32) (local $at i32) (local $end i32)
    (local $kind i32) (local $kinds i32) (local $run i32) (local $best i32)
    (local.set $items (call $count (global.get $args) (local.get $row)))
    (block $no_more_items
      (loop $next_item
        (br_if $no_more_items (i32.ge_u (local.get $item) (local.get $items)))
        ;; The text is copied to 1024; what does not fit into the memory is not looked at.
        (local.set $end
          (call $str_copy (global.get $args) (local.get $row) (local.get $item) (i32.const 1024) (i32.const 64512)))
        (if (i32.gt_u (local.get $end) (i32.const 64512)) (then (local.set $end (i32.const 64512))))
        (local.set $end (i32.add (local.get $end) (i32.const 1024)))
        (local.set $at (i32.const 1024))
        (local.set $run (i32.const 0))
        (local.set $kinds (i32.const 0))
        (block $no_more_bytes
          (loop $next_byte
            (br_if $no_more_bytes (i32.ge_u (local.get $at) (local.get $end)))
            (local.set $kind (call $kind_of (i32.load8_u (local.get $at))))
            (if (local.get $kind)
              (then
                (local.set $run (i32.add (local.get $run) (i32.const 1)))
                (local.set $kinds (i32.or (local.get $kinds) (local.get $kind)))
                (if (i32.eq (i32.and (local.get $kinds) (i32.const 7)) (i32.const 7))
                  (then
                    (if (i32.gt_u (local.get $run) (local.get $best))
                      (then (local.set $best (local.get $run)))))))
              (else
                (local.set $run (i32.const 0))
                (local.set $kinds (i32.const 0))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $next_byte)))
        (local.set $item (i32.add (local.get $item) (i32.const 1)))
        (br $next_item)))
    (local.get $best))

  ;; 1 for a capital letter, 2 for a small one, 4 for a digit, 8 for `+`, `/` and `=`, 0 for what is not base64.
  (func $kind_of (param $byte i32) (result i32)
    (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 65)) (i32.const 26)) (then (return (i32.const 1))))
    (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 97)) (i32.const 26)) (then (return (i32.const 2))))
    (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 48)) (i32.const 10)) (then (return (i32.const 4))))
    (if (i32.eq (local.get $byte) (i32.const 43)) (then (return (i32.const 8))))
    (if (i32.eq (local.get $byte) (i32.const 47)) (then (return (i32.const 8))))
    (if (i32.eq (local.get $byte) (i32.const 61)) (then (return (i32.const 8))))
    (i32.const 0)))
