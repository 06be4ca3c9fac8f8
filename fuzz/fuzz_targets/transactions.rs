#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ringmail_fuzz_targets::target("transactions").run(input));
