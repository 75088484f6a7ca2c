//! The words of the page.

/// A language of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Lang {
    /// English
    #[default]
    En,
    /// Japanese
    Ja,
}

impl Lang {
    /// The BCP 47 tag.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ja => "ja",
        }
    }
}

/// Every text of the page in one language.
#[derive(Debug)]
pub(super) struct Labels {
    /// By report type: daily, weekly, monthly.
    pub(super) title: [&'static str; 3],
    pub(super) channel: &'static str,
    pub(super) as_of: &'static str,
    pub(super) no_data: &'static str,
    pub(super) truncated: &'static str,
    pub(super) hours: &'static str,
    pub(super) minutes: &'static str,
    pub(super) seconds: &'static str,
    pub(super) sessions: &'static str,
    pub(super) stream_time: &'static str,
    pub(super) avg_duration: &'static str,
    pub(super) peak_viewers: &'static str,
    pub(super) avg_viewers: &'static str,
    pub(super) viewer_minutes: &'static str,
    pub(super) unique_players: &'static str,
    pub(super) chat_messages: &'static str,
    pub(super) viewers: &'static str,
    pub(super) active_players: &'static str,
    pub(super) viewers_over_time: &'static str,
    pub(super) viewers_by_hour: &'static str,
    pub(super) bitrate: &'static str,
    pub(super) bitrate_over_time: &'static str,
    pub(super) frame_rate: &'static str,
    pub(super) frame_rate_over_time: &'static str,
    pub(super) chat_rate: &'static str,
    pub(super) stalls: &'static str,
    pub(super) stalls_over_time: &'static str,
    pub(super) experience: &'static str,
    pub(super) latency: &'static str,
    pub(super) startup: &'static str,
    pub(super) median: &'static str,
    pub(super) largest: &'static str,
    pub(super) player_errors: &'static str,
    pub(super) player_bitrate: &'static str,
    pub(super) watch_time: &'static str,
    pub(super) scores: &'static str,
    pub(super) quality_score: &'static str,
    pub(super) stability: &'static str,
    pub(super) engagement_score: &'static str,
    pub(super) messages_per_minute: &'static str,
    pub(super) bitrate_rule: &'static str,
    pub(super) frame_rate_rule: &'static str,
    pub(super) stability_rule: &'static str,
    pub(super) engagement_rule: &'static str,
    pub(super) score_unknown: &'static str,
    pub(super) latest_sessions: &'static str,
    pub(super) started: &'static str,
    pub(super) stream: &'static str,
    pub(super) in_period: &'static str,
    pub(super) status: &'static str,
    /// Live, ended, failed, lost.
    pub(super) statuses: [&'static str; 4],
    pub(super) viewers_note: &'static str,
}

impl Labels {
    pub(super) const fn of(lang: Lang) -> &'static Self {
        match lang {
            Lang::En => &EN,
            Lang::Ja => &JA,
        }
    }
}

const EN: Labels = Labels {
    title: ["Daily report", "Weekly report", "Monthly report"],
    channel: "Channel",
    as_of: "Data as of",
    no_data: "No data",
    truncated: "More sessions than are kept apart: totals by session are lower bounds.",
    hours: " h ",
    minutes: " min",
    seconds: " s",
    sessions: "Sessions",
    stream_time: "Stream time",
    avg_duration: "Mean length",
    peak_viewers: "Peak viewers",
    avg_viewers: "Mean viewers",
    viewer_minutes: "Viewer minutes",
    unique_players: "Unique players",
    chat_messages: "Chat messages",
    viewers: "Viewers",
    active_players: "Active players",
    viewers_over_time: "Viewers over time",
    viewers_by_hour: "Viewers by hour of the day",
    bitrate: "Ingest bitrate",
    bitrate_over_time: "Ingest bitrate (bit/s)",
    frame_rate: "Ingest frame rate",
    frame_rate_over_time: "Ingest frame rate (fps)",
    chat_rate: "Chat messages per minute",
    stalls: "Stalled share of watch time",
    stalls_over_time: "Stalled share of watch time (%)",
    experience: "What players saw",
    latency: "Live latency",
    startup: "Start-up time",
    median: "Median",
    largest: "Largest",
    player_errors: "Player errors",
    player_bitrate: "Mean bitrate played",
    watch_time: "Watch time",
    scores: "Scores explained",
    quality_score: "Quality score",
    stability: "Stability",
    engagement_score: "Chat engagement",
    messages_per_minute: "messages per minute",
    bitrate_rule: "Mean ingest bitrate; full marks from 5 Mbit/s.",
    frame_rate_rule: "Mean ingest frame rate; full marks from 30 fps.",
    stability_rule: "How little bitrate and frame rate vary from minute to minute within a session.",
    engagement_rule: "10 from 50 messages per minute streamed, 8 from 20, 6 from 10, 4 from 5, \
                      2 from 1, 1 below, 0 for none.",
    score_unknown: "Not enough data for a score.",
    latest_sessions: "Latest sessions",
    started: "Started",
    stream: "Stream",
    in_period: "In this period",
    status: "Status",
    statuses: ["live", "ended", "failed", "end not reported"],
    viewers_note: "Viewers are what the application reports; active players are counted from \
                   player telemetry.",
};

const JA: Labels = Labels {
    title: ["日次レポート", "週次レポート", "月次レポート"],
    channel: "チャンネル",
    as_of: "データ取得日時",
    no_data: "データなし",
    truncated: "配信数が上限を超えたため、配信ごとの合計は下限値です。",
    hours: "時間",
    minutes: "分",
    seconds: "秒",
    sessions: "配信回数",
    stream_time: "配信時間",
    avg_duration: "平均配信時間",
    peak_viewers: "最大同時視聴者数",
    avg_viewers: "平均視聴者数",
    viewer_minutes: "総視聴分数",
    unique_players: "ユニークプレーヤー数",
    chat_messages: "チャット数",
    viewers: "視聴者数",
    active_players: "アクティブプレーヤー数",
    viewers_over_time: "視聴者数の推移",
    viewers_by_hour: "時間帯別の視聴者数",
    bitrate: "配信ビットレート",
    bitrate_over_time: "配信ビットレート (bit/s)",
    frame_rate: "配信フレームレート",
    frame_rate_over_time: "配信フレームレート (fps)",
    chat_rate: "1分あたりのチャット数",
    stalls: "視聴時間に占める停止の割合",
    stalls_over_time: "視聴時間に占める停止の割合 (%)",
    experience: "視聴体験",
    latency: "遅延",
    startup: "再生開始時間",
    median: "中央値",
    largest: "最大",
    player_errors: "再生エラー",
    player_bitrate: "平均再生ビットレート",
    watch_time: "総再生時間",
    scores: "スコアの見方",
    quality_score: "配信品質スコア",
    stability: "安定性",
    engagement_score: "チャットの盛り上がり",
    messages_per_minute: "件/分",
    bitrate_rule: "配信ビットレートの平均。5 Mbit/s 以上で満点。",
    frame_rate_rule: "配信フレームレートの平均。30 fps 以上で満点。",
    stability_rule: "1回の配信の中で、ビットレートとフレームレートが分ごとにどれだけ安定しているか。",
    engagement_rule: "配信1分あたり50件以上で10、20件以上で8、10件以上で6、5件以上で4、\
                      1件以上で2、1件未満で1、0件で0。",
    score_unknown: "スコアを計算できるデータがありません。",
    latest_sessions: "最新の配信",
    started: "開始",
    stream: "配信",
    in_period: "期間内の時間",
    status: "状態",
    statuses: ["配信中", "終了", "失敗", "終了通知なし"],
    viewers_note: "視聴者数はアプリケーションの報告値、アクティブプレーヤー数はプレーヤーの計測値です。",
};
