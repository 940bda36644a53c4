//! Requests as front-ends send them: dozens of fields at once, nearly all of them at values that ask for nothing.

#![recursion_limit = "256"] // of json!, in its longest object

mod served;

use decant_server::app::App;
use serde_json::{Value, json};
use served::{embedded_app, fine, post};
use std::sync::LazyLock;

static APP: LazyLock<App> = LazyLock::new(embedded_app);

/// What SillyTavern sends to any text completion API.
fn silly_tavern() -> Value {
    json!({
        "prompt": "The dog", "model": "", "max_new_tokens": 4, "max_tokens": 4, "temperature": 1, "top_p": 1,
        "typical_p": 1, "typical": 1, "sampler_seed": 3, "seed": 3, "min_p": 0, "repetition_penalty": 1,
        "frequency_penalty": 0, "presence_penalty": 0, "top_k": 0, "skew": 0, "min_tokens": 0, "add_bos_token": true,
        "smoothing_factor": 0, "smoothing_curve": 1, "dry_allowed_length": 2, "dry_multiplier": 0, "dry_base": 1.75,
        "dry_sequence_breakers": r#"["\n",":","\"","*"]"#, "dry_penalty_last_n": 0, "max_tokens_second": 0,
        "stopping_strings": ["\nUser:"], "stop": ["\nUser:"], "truncation_length": 8192, "ban_eos_token": false,
        "skip_special_tokens": true, "include_reasoning": true, "top_a": 0, "tfs": 1, "mirostat_mode": 0,
        "mirostat_tau": 5, "mirostat_eta": 0.1, "custom_token_bans": "", "banned_strings": [], "api_type": "ooba",
        "api_server": "http://127.0.0.1:8383/", "xtc_threshold": 0.1, "xtc_probability": 0, "nsigma": 0, "top_n_sigma": 0,
        "min_keep": 0, "adaptive_decay": 0.9, "rep_pen": 1, "rep_pen_range": 0, "repetition_penalty_range": 0,
        "guidance_scale": 1, "negative_prompt": "", "grammar_string": "", "repeat_penalty": 1, "repeat_last_n": 0,
        "n_predict": 4, "num_predict": 4, "num_ctx": 8192, "mirostat": 0, "ignore_eos": false, "rep_pen_slope": 1,
    })
}

/// What it adds for text-generation-webui, KoboldCpp, llama.cpp and vLLM.
fn additions() -> [Value; 4] {
    [
        json!({
            "min_length": 0, "num_beams": 1, "length_penalty": 1, "early_stopping": false, "epsilon_cutoff": 0,
            "eta_cutoff": 0, "encoder_repetition_penalty": 1, "no_repeat_ngram_size": 0, "penalty_alpha": 0,
            "temperature_last": true, "do_sample": true, "dynamic_temperature": false, "dynatemp_low": 1, "dynatemp_high": 1,
            "dynatemp_exponent": 1,
            "sampler_priority": [
                "repetition_penalty", "presence_penalty", "frequency_penalty", "dry", "top_n_sigma", "temperature",
                "dynamic_temperature", "quadratic_sampling", "top_k", "top_p", "typical_p", "epsilon_cutoff", "eta_cutoff",
                "tfs", "top_a", "min_p", "mirostat", "xtc", "encoder_repetition_penalty", "no_repeat_ngram",
            ],
        }),
        json!({
            "api_type": "koboldcpp", "sampler_order": [6, 0, 1, 3, 4, 2, 5], "trim_stop": true, "grammar": "",
            "dry_sequence_breakers": ["\n", ":", "\"", "*"], "dynatemp_range": 0,
        }),
        json!({
            "api_type": "llamacpp", "logit_bias": [], "grammar": "", "cache_prompt": true, "n": 1,
            "dry_sequence_breakers": ["\n", ":", "\"", "*"],
            "samplers": [
                "penalties", "dry", "top_n_sigma", "top_k", "typ_p", "tfs_z", "typical_p", "top_p", "min_p", "xtc",
                "adaptive_p", "temperature",
            ],
        }),
        json!({"api_type": "vllm", "n": 1, "spaces_between_special_tokens": true, "include_stop_str_in_output": false}),
    ]
}

async fn told(mut body: Value, addition: &Value, change: Value) -> Value {
    for more in [addition, &change] {
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    fine(&post(&APP, "/v1/completions", body).await)["choices"][0].clone()
}

#[tokio::test]
async fn values_that_ask_for_nothing_change_nothing() {
    let plain = json!({"prompt": "The dog", "max_tokens": 4, "seed": 3, "stop": ["\nUser:"]});
    let plain = told(plain, &json!({}), json!({})).await;
    for addition in additions() {
        let choice = told(silly_tavern(), &addition, json!({})).await;
        assert_eq!(choice, plain, "{addition}");
        assert_eq!(choice["decant"]["sampler"], "");
    }
}

#[tokio::test]
async fn values_that_ask_for_something_are_heard() {
    let [web_ui, kobold, llama, vllm] = additions();
    let dynamic = json!({"dynamic_temperature": true, "dynatemp_low": 0.5, "dynatemp_high": 1.5, "top_p": 0.9});
    let range = json!({
        "dynatemp_range": 0.5, "top_p": 0.9, "rep_pen": 1.1, "repetition_penalty": 1.1, "repeat_penalty": 1.1,
        "rep_pen_range": 320, "repetition_penalty_range": 320, "repeat_last_n": 320,
    });
    let plain = json!({"temperature": 0.8, "min_p": 0.05, "top_k": 40});
    for (addition, change, sampler) in [
        (&web_ui, &dynamic, "top_p=0.9,dynatemp=0.5:high=1.5"),
        (&kobold, &range, "repetition_penalty=1.1:last_n=320,top_p=0.9,dynatemp=0.5:high=1.5"),
        (&llama, &plain, "top_k=40,min_p=0.05,temp=0.8"),
        (&vllm, &plain, "temp=0.8,top_k=40,min_p=0.05"),
    ] {
        let choice = told(silly_tavern(), addition, change.clone()).await;
        assert_eq!(choice["decant"]["sampler"], sampler, "{change}");
    }
}

/// Open WebUI sends its own parameters as it has them, and what a user types as a custom one.
#[tokio::test]
async fn custom_parameters() {
    let body =
        json!({"prompt": "The dog", "stream": false, "model": "Decant Stories", "max_tokens": 4, "temperature": 0.7});
    let choice = told(body, &json!({}), json!({"top_h": 0.4, "mirostat": 0, "num_ctx": 2048})).await;
    assert_eq!(choice["decant"]["sampler"], "temp=0.7,top_h=0.4");
}

#[tokio::test]
async fn what_is_not_built_is_refused_by_name() {
    for (name, value) in [
        ("guidance_scale", json!(1.5)),
        ("num_beams", json!(2)),
        ("banned_strings", json!(["bad"])),
        ("grammar", json!("root ::= [a-z]")),
        ("ban_eos_token", json!(true)),
        ("do_sample", json!(false)),
        ("skew", json!("0")),
    ] {
        let mut body = silly_tavern();
        body[name] = value;
        let answer = post(&APP, "/v1/completions", body).await;
        assert_eq!((answer.status.as_u16(), answer.json()["error"]["param"].as_str()), (400, Some(name)));
    }
    for (name, value) in [("guidance_scale", json!(1.0)), ("num_beams", json!(1.0)), ("skew", json!(-0.0))] {
        let mut body = silly_tavern();
        body[name] = value;
        fine(&post(&APP, "/v1/completions", body).await);
    }
}
