// SPDX-License-Identifier: GPL-2.0
//! Detection against simulated servers: gone, frozen, slow, idle, lossy.

use rsdfs_proto::failover::watch::{judge, Death, Limits, Signs, Verdict};
use rsdfs_proto::time::{Instant, Span};

const RTT: u64 = 10;

/// One connection with a fake clock; the server is described by two functions of time.
struct Sim<'a> {
    /// Whether packets pass.
    network: &'a dyn Fn(u64) -> bool,
    /// When an echo received at this time is answered.
    answers: &'a dyn Fn(u64) -> u64,
    /// When requests are sent, and when each is answered by the server, if the network lets it.
    requests: Vec<(u64, u64)>,
    limits: Limits,
    until: u64,
}

#[derive(Debug, PartialEq)]
struct Seen {
    dead: Option<(u64, Death)>,
    echoes: Vec<u64>,
    judged: usize,
}

impl Sim<'_> {
    fn run(&self) -> Seen {
        let mut seen = Seen {
            dead: None,
            echoes: vec![],
            judged: 0,
        };
        let mut received = 0;
        let mut last_echo = None;
        // When the echo under way is answered, if ever.
        let mut echo: Option<(u64, Option<u64>)> = None;
        let mut unacked: Option<u64> = None;
        let mut next = 0;
        for now in 0..self.until {
            for (_, at) in self.requests.iter().filter(|(_, at)| *at == now) {
                if (self.network)(*at) {
                    received = now;
                }
            }
            match echo {
                Some((_, Some(at))) if at <= now && (self.network)(now) => {
                    echo = None;
                    received = now;
                }
                // TCP delivers it when the network is back.
                Some((sent, None)) if (self.network)(now) => {
                    echo = Some((sent, Some((self.answers)(now).max(now + RTT))));
                }
                _ => {}
            }
            if unacked.is_some() && (self.network)(now) {
                // Retransmitted at the latest now.
                unacked = None;
            }
            let sends = self.requests.iter().any(|(at, _)| *at == now);
            if sends && !(self.network)(now) {
                unacked = unacked.or(Some(now));
            }
            if now < next && !sends {
                continue;
            }
            seen.judged += 1;
            let mut open = self
                .requests
                .iter()
                .filter(|(sent, at)| *sent <= now && (*at > now || !(self.network)(*at)));
            let signs = Signs {
                received: Instant(received),
                oldest: open.next().map(|(sent, _)| Instant(*sent)),
                unacked: unacked.map(|since| Span(now - since)),
                echo: echo.map(|(sent, _)| Instant(sent)),
                last_echo: last_echo.map(Instant),
                rtt: Span(RTT),
            };
            match judge(Instant(now), &signs, &self.limits) {
                Verdict::Fine(at) => {
                    assert!(at.0 > now, "busy loop");
                    next = at.0;
                }
                Verdict::SendEcho => {
                    assert!(echo.is_none(), "two echoes at once");
                    seen.echoes.push(now);
                    last_echo = Some(now);
                    next = now + 1;
                    let passes = (self.network)(now);
                    echo = Some((now, passes.then(|| (self.answers)(now).max(now + RTT))));
                    if !passes {
                        unacked = unacked.or(Some(now));
                    }
                }
                Verdict::Dead(why) => {
                    seen.dead = Some((now, why));
                    return seen;
                }
            }
        }
        seen
    }
}

fn sim() -> Sim<'static> {
    Sim {
        network: &|_| true,
        answers: &|t| t,
        requests: vec![],
        limits: Limits::DEFAULT,
        until: 120_000,
    }
}

/// A writer every 20 ms that is answered in 5 until `cut`; one request is then left without answer.
fn writer(cut: u64) -> Vec<(u64, u64)> {
    let mut requests: Vec<(u64, u64)> = (0..cut / 20).map(|i| (i * 20, i * 20 + 5)).collect();
    requests.push((cut, cut + 5));
    requests
}

#[test]
fn a_cut_network_is_noticed_within_a_second() {
    for cut in [3000, 3010, 3333] {
        let network = move |t| t < cut;
        let seen = Sim {
            network: &network,
            requests: writer(cut),
            ..sim()
        }
        .run();
        let (at, why) = seen.dead.unwrap();
        assert_eq!(why, Death::Silent);
        assert!((900..1000).contains(&(at - cut)), "{} ms", at - cut);
    }
}

#[test]
fn cut_after_the_request_was_acknowledged() {
    // Sent at 3000 and acknowledged by TCP, cut before the answer.
    let network = |t| t < 3002;
    let seen = Sim {
        network: &network,
        requests: vec![(3000, 3005)],
        ..sim()
    }
    .run();
    let (at, why) = seen.dead.unwrap();
    assert_eq!(why, Death::Silent);
    assert!(at <= 3000 + 400 + 900 + 150, "{at}");
}

#[test]
fn cut_during_a_very_long_request() {
    let network = |t| t < 60_500;
    let seen = Sim {
        network: &network,
        requests: vec![(0, 600_000)],
        ..sim()
    }
    .run();
    let (at, why) = seen.dead.unwrap();
    assert_eq!(why, Death::Silent);
    assert!(at <= 60_500 + 1000 + 900 + 150, "{at}");
}

#[test]
fn a_short_interruption_is_survived() {
    let network = |t| !(3000..3800).contains(&t);
    let mut requests = writer(3000);
    requests[150] = (3000, 3900);
    let seen = Sim {
        network: &network,
        requests,
        ..sim()
    }
    .run();
    assert_eq!(seen.dead, None);
}

#[test]
fn a_frozen_server_is_given_the_echo_interval() {
    for interval in [1, 5, 10] {
        let answers = |t: u64| if t < 3000 { t } else { u64::MAX };
        let seen = Sim {
            answers: &answers,
            requests: vec![(3000, u64::MAX)],
            limits: Limits {
                echo_interval: Span::secs(interval),
                ..Limits::DEFAULT
            },
            ..sim()
        }
        .run();
        let (at, why) = seen.dead.unwrap();
        assert_eq!(why, Death::Frozen);
        let took = at - 3000;
        let limit = interval * 1000 + 400;
        assert!((limit - 400..limit + 500).contains(&took), "{took}");
    }
}

#[test]
fn stopped_for_five_seconds_and_continued() {
    let answers = |t: u64| if (3000..8000).contains(&t) { 8001 } else { t };
    let mut requests = writer(3000);
    requests[150] = (3000, 8002);
    let seen = Sim {
        answers: &answers,
        requests,
        ..sim()
    }
    .run();
    assert_eq!(seen.dead, None);
}

#[test]
fn a_slow_server_that_answers_echoes_is_never_given_up() {
    let seen = Sim {
        requests: vec![(1000, u64::MAX)],
        until: 600_000,
        ..sim()
    }
    .run();
    assert_eq!(seen.dead, None);
    // About one echo a second, and never more than the suspicion time allows.
    assert!(
        (500..660).contains(&seen.echoes.len()),
        "{}",
        seen.echoes.len()
    );
    assert!(seen.echoes.windows(2).all(|w| w[1] - w[0] >= 400));
    assert!(seen.judged < 600_000 / 150);
}

#[test]
fn even_with_slow_echoes() {
    let answers = |t| t + 9_000;
    let seen = Sim {
        answers: &answers,
        requests: vec![(1000, u64::MAX)],
        until: 600_000,
        ..sim()
    }
    .run();
    assert_eq!(seen.dead, None);
}

#[test]
fn an_idle_connection_sends_one_echo_an_interval() {
    let seen = Sim {
        until: 100_005,
        ..sim()
    }
    .run();
    assert_eq!(seen.dead, None);
    assert_eq!(seen.echoes.len(), 9);
    assert!(seen.echoes.windows(2).all(|w| w[1] - w[0] >= 10_000));
    assert!(seen.judged < 200, "{}", seen.judged);
}

#[test]
fn an_idle_connection_finds_out_too() {
    let network = |t| t < 500;
    let (at, why) = Sim {
        network: &network,
        ..sim()
    }
    .run()
    .dead
    .unwrap();
    assert_eq!(why, Death::Silent);
    assert!(at <= 10_000 + 1_000 + 100);
}

#[test]
fn a_busy_connection_sends_no_echo() {
    let requests = (0..3000).map(|i| (i * 20, i * 20 + 5)).collect();
    let seen = Sim {
        requests,
        until: 60_000,
        ..sim()
    }
    .run();
    assert_eq!((seen.dead, seen.echoes.len()), (None, 0));
}

#[test]
fn a_long_way_is_not_silence() {
    let mut signs = Signs {
        received: Instant(10_000),
        oldest: Some(Instant(10_000)),
        unacked: Some(Span(1500)),
        echo: None,
        last_echo: None,
        rtt: Span(700),
    };
    let at = |signs: &Signs| judge(Instant(10_100), signs, &Limits::DEFAULT);
    assert!(matches!(at(&signs), Verdict::Fine(_)));
    signs.unacked = Some(Span(2800));
    assert_eq!(at(&signs), Verdict::Dead(Death::Silent));
    signs.rtt = Span(0);
    signs.unacked = Some(Span(900));
    assert_eq!(at(&signs), Verdict::Dead(Death::Silent));
}

#[test]
fn any_signs_are_judged() {
    let moments = [0, 1, 399, 400, 900, 5000, 10_000, 20_000, u64::MAX];
    let some = |t: u64| [None, Some(Instant(t))];
    for now in moments {
        for t in moments {
            for u in moments {
                for (oldest, echo) in some(t).into_iter().flat_map(|a| some(u).map(|b| (a, b))) {
                    let signs = Signs {
                        received: Instant(u),
                        oldest,
                        unacked: Some(Span(t.min(899))),
                        echo,
                        last_echo: echo,
                        rtt: Span(u.min(10)),
                    };
                    match judge(Instant(now), &signs, &Limits::DEFAULT) {
                        Verdict::Fine(at) => assert!(at.0 > now || now == u64::MAX),
                        Verdict::SendEcho => assert!(echo.is_none()),
                        Verdict::Dead(_) => assert!(echo.is_some()),
                    }
                }
            }
        }
    }
}
