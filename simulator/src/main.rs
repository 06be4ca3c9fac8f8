//! Runs the simulator: many short episodes, each from a seed of its own.

use clap::Parser;
use ringmail_simulator::check::Violation;
use ringmail_simulator::figures::Figures;
use ringmail_simulator::run::{EPISODE_OPERATIONS, Failure, World, episode, episodes};
use ringmail_simulator::trace::Show;
use std::process::ExitCode;
use std::time::Duration;

/// Simulates Ringmail on disks that fail and machines that crash, and checks that nothing acknowledged is ever lost.
#[derive(Debug, Parser)]
#[command(name = "ringmail-simulator")]
struct Args {
    /// Operations of clients, over all episodes.
    #[arg(long, default_value_t = 10_000_000)]
    ops: u64,
    /// The first episode's seed, a number or "random"; the others have those that follow.
    #[arg(long, default_value = "1")]
    seed: String,
    /// Episodes at once; as many as there are processors by default.
    #[arg(long)]
    threads: Option<usize>,
    /// What to simulate; all worlds by default, each with its share of the operations.
    #[arg(long)]
    world: Option<World>,
    /// Runs the seed's episode alone, and prints what happens in it.
    #[arg(long)]
    trace: bool,
    /// Runs each of the deliberate bugs that this build has until it is noticed, for up to --ops operations.
    #[cfg(ringmail_canaries)]
    #[arg(long)]
    canaries: bool,
    /// Has one of them show.
    #[cfg(ringmail_canaries)]
    #[arg(long)]
    canary: Option<String>,
    /// With --trace: the first line to print.
    #[arg(long, requires = "trace")]
    from: Option<u64>,
    /// With --trace: prints so many of the last lines only.
    #[arg(long, requires = "trace", conflicts_with = "from")]
    last: Option<usize>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let seed = match args.seed.as_str() {
        "random" => random_seed(),
        number => match number.parse() {
            Ok(seed) => seed,
            Err(_) => {
                eprintln!("--seed takes a number or \"random\", not \"{number}\"");
                return ExitCode::from(2);
            }
        },
    };
    // A broken promise unwinds on purpose, and is reported with its seed; other panics are printed as usual.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload().is::<Violation>() {
            usual(panic);
        }
    }));
    #[cfg(ringmail_canaries)]
    if let Some(code) = canaries(&args, seed) {
        return code;
    }
    let worlds = args.world.as_ref().map_or(World::ALL, std::slice::from_ref);
    let mut code = ExitCode::SUCCESS;
    for &world in worlds {
        let operations = args.ops / worlds.len() as u64;
        let well = if args.trace {
            replay(&args, world, seed, operations)
        } else {
            simulate(&args, world, seed, operations)
        };
        if !well {
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Runs all canaries, or chooses the one that is asked for.
#[cfg(ringmail_canaries)]
fn canaries(args: &Args, seed: u64) -> Option<ExitCode> {
    use ringmail_shards::canary::{Canary, choose};
    if args.canaries {
        // What a bug makes panic is no news.
        std::panic::set_hook(Box::new(|_| {}));
        let well = ringmail_simulator::canaries::all_are_caught(seed, args.ops, threads(args));
        return Some(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let name = args.canary.as_deref()?;
    match Canary::ALL.iter().find(|(_, known)| *known == name) {
        Some((canary, _)) => choose(Some(*canary)),
        None => {
            let known: Vec<&str> = Canary::ALL.iter().map(|(_, name)| *name).collect();
            eprintln!("--canary takes one of {}, not \"{name}\"", known.join(", "));
            return Some(ExitCode::from(2));
        }
    }
    None
}

fn threads(args: &Args) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    args.threads.unwrap_or(processors).max(1)
}

fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // Short enough to be typed.
    RandomState::new().hash_one("seed") % 1_000_000_000_000
}

/// Runs one episode and prints its trace; whether all went well.
fn replay(args: &Args, world: World, seed: u64, operations: u64) -> bool {
    let show = args.last.map_or(Show::From(args.from.unwrap_or(0)), Show::Last);
    match episode(world, seed, operations.min(EPISODE_OPERATIONS), show) {
        Ok(figures) => println!("{}: seed {seed}: {}", world.name(), sentence(&figures, Duration::ZERO)),
        Err(Violation { check, words }) => {
            println!("{}: seed {seed}: {check}: {words}", world.name());
            return false;
        }
    }
    true
}

/// Runs all episodes; whether all went well.
fn simulate(args: &Args, world: World, seed: u64, operations: u64) -> bool {
    let threads = threads(args);
    println!("{}: {operations} operations from seed {seed} on, {threads} threads", world.name());
    let begun = std::time::Instant::now();
    let result = episodes(world, seed, operations, threads, |figures, elapsed| {
        let share = figures.operations * 100 / operations.max(1);
        println!("{}: {share} % after {} s", world.name(), elapsed.as_secs());
    });
    match result {
        Ok(figures) => {
            println!("{}: {}", world.name(), sentence(&figures, begun.elapsed()));
            true
        }
        Err(failure) => {
            report(&failure);
            false
        }
    }
}

fn report(failure: &Failure) {
    let Failure { world, seed, operations, after, violation: Violation { check, words } } = failure;
    println!("{}: BROKEN after about {after} operations, seed {seed}: {check}: {words}", world.name());
    println!(
        "replay: cargo run --profile simulator -p ringmail-simulator -- --world {} --seed {seed} --ops {operations} --trace --last 200",
        world.name()
    );
}

/// The last line of a run that went well.
fn sentence(figures: &Figures, elapsed: Duration) -> String {
    let Figures { disks, kills, power_cuts, closes, .. } = figures;
    let crashes = [
        (*kills, "kills"),
        (*power_cuts, "power cuts"),
        (*closes, "orderly ends"),
        (figures.interrupted_recoveries, "recoveries interrupted"),
        (figures.fences, "fenced"),
        (figures.clock_jumps, "clock jumps"),
    ];
    let faults = [
        (disks.read_errors, "read errors"),
        (disks.write_errors, "write errors"),
        (disks.failed_syncs, "failed syncs"),
        (disks.directory_errors, "failed creations and removals"),
        (disks.refused, "refusals for want of room"),
        (disks.slow, "slow operations"),
        (disks.lost_sectors, "sectors lost by crashes"),
    ];
    let lies = [
        (disks.lost_writes, "writes lost"),
        (disks.misdirected_writes, "misdirected"),
        (disks.rotten_bits, "bits rotten"),
        (figures.damage_reported, "damaged places reported"),
        (figures.damaged_reads, "reads told of damage"),
    ];
    format!(
        "{} operations, {} batches acknowledged, {} served; {}; disks: {}; lying disks: {}; {} segments recycled, {} MiB cleaned: \
         0 lost, 0 duplicated, 0 reordered, 0 phantom; hash {:016x}; {} s",
        grouped(figures.operations),
        grouped(figures.acknowledged),
        grouped(figures.served),
        listed(&crashes),
        listed(&faults),
        listed(&lies),
        grouped(figures.recycled),
        grouped(figures.cleaned_bytes >> 20),
        figures.hash,
        elapsed.as_secs()
    )
}

fn listed(counts: &[(u64, &str)]) -> String {
    let words: Vec<String> =
        counts.iter().map(|(count, what)| format!("{} {what}", grouped(*count))).collect();
    words.join(", ")
}

/// A number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).expect("digits are ASCII"))
        .collect();
    groups.join(",")
}
