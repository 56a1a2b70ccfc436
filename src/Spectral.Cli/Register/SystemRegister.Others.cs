using static Spectral.Cli.Register.SystemState;

namespace Spectral.Cli.Register;

/// <content>The systems without a number.</content>
internal static partial class SystemRegister
{
    private static readonly RegisteredSystem[] Others =
    [
        new(null, "LoRA, rsLoRA and LoRA+", Present, ["adapter lora", "finetune --rslora", "finetune --lr-ratio"], ""),
        new(null, "LoRA-FA", Present, ["adapter lora-fa", "optimizer lora-fa"], ""),
        new(null, "MiLoRA, minor components", Present, ["adapter milora"], ""),
        new(
            null,
            "MiCA, OLoRA, KaSA and LoRA-GA",
            Present,
            ["adapter mica", "adapter olora", "adapter kasa", "adapter lora-ga"],
            ""
        ),
        new(null, "LoftQ and QPiSSA", Present, ["adapter loftq", "adapter qpissa"], ""),
        new(null, "QA-LoRA", Present, ["adapter qa-lora"], ""),
        new(null, "TinyLoRA, LoRA-XS and EDoRA", Present, ["adapter tinylora", "adapter lora-xs", "adapter edora"], ""),
        new(null, "PSOFT", Present, ["adapter psoft"], ""),
        new(null, "DoRA", InPart, ["adapter dora"], "not on embeddings"),
        new(null, "DeLoRA", Present, ["adapter delora"], ""),
        new(
            null,
            "Models that classify, and scores of GLUE and multiple choice",
            InPart,
            ["finetune", "eval", "merge"],
            "encoders are BERT and RoBERTa; no DeBERTa and no vision transformer"
        ),
        new(null, "MoSLoRA and TriLoRA", Present, ["adapter moslora", "adapter trilora"], ""),
        new(null, "AdaLoRA and DyLoRA", Present, ["adapter adalora", "adapter dylora"], ""),
        new(null, "FlexLoRA", Present, ["adapter flexlora"], ""),
        new(null, "SVDiff and SAM-PARSER", Present, ["adapter svdiff", "adapter sam-parser"], ""),
        new(null, "Spectral Adapter", Present, ["adapter spectral-adapter", "adapter spectral-adapter-rotational"], ""),
        new(null, "λ-orthogonality", Present, ["adapter lambda-orthogonal"], ""),
        new(null, "O-LoRA", Present, ["adapter o-lora"], ""),
        new(null, "VeRA and VB-LoRA", Present, ["adapter vera", "adapter vb-lora"], ""),
        new(null, "PVeRA", Missing, [], "noise that depends on the token; without it, it is VeRA"),
        new(null, "UniLoRA", Present, ["adapter unilora"], "PEFT’s files without save_indices"),
        new(
            null,
            "AdaMSS",
            InPart,
            ["adapter adamss"],
            "not in PEFT’s files, which lack the groups; no subspaces dropped in training"
        ),
        new(null, "FRoD", Missing, [], "a joint decomposition of all weights of one kind"),
        new(null, "KAdaptation", Present, ["adapter kadaptation"], ""),
        new(null, "MiSS and GraLoRA", Present, ["adapter miss", "adapter gralora"], ""),
        new(null, "LoHa, LoKr and HiRA", Present, ["adapter loha", "adapter lokr", "adapter hira"], ""),
        new(
            null,
            "OFT, BOFT, HRA and RoAD",
            InPart,
            ["adapter oft", "adapter boft", "adapter hra", "adapter road"],
            "not COFT, nor Gram-Schmidt in HRA"
        ),
        new(
            null,
            "FourierFT, C3A and WaveFT",
            Present,
            ["adapter fourierft", "adapter c3a", "adapter waveft"],
            "wavelets db1 to db4"
        ),
        new(null, "IA3 and SHiRA", Present, ["adapter ia3", "adapter shira"], ""),
        new(null, "GLoRA", Present, ["adapter glora"], ""),
        new(null, "PEANuT", InPart, ["adapter peanut"], "of the activations, relu"),
        new(null, "DEFT and PaRa", InPart, ["adapter deft"], "not the decomposition qr"),
        new(null, "BitFit and BEFT", Present, ["adapter bitfit", "adapter beft"], ""),
        new(
            null,
            "LN tuning",
            InPart,
            ["finetune --train-also"],
            "norms train whole, in files as modules_to_save; PEFT’s type LN_TUNING is not read"
        ),
        new(null, "Full change", Present, ["adapter delta"], ""),
        new(
            null,
            "Prompt, prefix and p-tuning",
            Present,
            ["adapter prompt-tuning", "adapter prefix-tuning", "adapter p-tuning"],
            ""
        ),
        new(null, "BD-LoRA", InPart, ["export"], "read from PEFT’s files; not trained in blocks"),
        new(null, "SuperTuning", Missing, [], "of PEFT, not of the register"),
        new(null, "aLoRA", Present, ["adapter alora"], ""),
        new(null, "Lily", Present, ["adapter lily"], "gates are a mean over a record, in PEFT over the batch"),
        new(null, "X-LoRA, Arrow and Poly", Missing, [], "gates from a second pass, from given LoRAs, or from tasks"),
        new(
            null,
            "Task arithmetic, DARE and magnitude pruning",
            Present,
            ["merge linear", "merge dare-linear", "merge dare-ties", "merge magnitude"],
            ""
        ),
        new(null, "Breadcrumbs, DELLA and SCE", Present, ["merge breadcrumbs", "merge della", "merge sce"], ""),
        new(null, "GaLore, Muon and Lion", Present, ["optimizer galore", "optimizer muon", "optimizer lion"], ""),
        new(
            null,
            "Adafactor, SGD, 8-bit AdamW and schedule-free AdamW",
            Present,
            ["optimizer adafactor", "optimizer sgd", "optimizer adamw8bit", "optimizer schedule-free-adamw"],
            ""
        ),
        new(null, "DPO, ORPO, SimPO and KTO", Present, ["finetune --loss"], ""),
        new(null, "GIST", Present, ["place gist"], ""),
    ];
}
