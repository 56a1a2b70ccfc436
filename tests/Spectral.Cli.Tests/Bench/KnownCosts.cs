namespace Spectral.Cli.Tests.Bench;

/// <summary>What kernels cost beyond the least, where it is more than nothing, and why.</summary>
internal static class KnownCosts
{
    /// <summary>
    /// Percent of the sectors that better coalescing would save. Kernels that are missing here access whole sectors
    /// only.
    /// </summary>
    public static IReadOnlyDictionary<string, double> ExcessPercent { get; } =
        new Dictionary<string, double>
        {
            // Fragments of g, z and partial sums: a warp stores 16 bytes of each of eight rows.
            ["low_rank_project_32_bf16"] = 23.6,
            ["low_rank_project_64_bf16"] = 30,
            ["low_rank_project_128_bf16"] = 37.5,
            ["low_rank_output_gradients_32_bf16"] = 22.3,
            ["low_rank_output_gradients_64_bf16"] = 35.8,
            // A warp reads one partial sum of each of 32 blocks: a few KB in all.
            ["low_rank_middle_gradient_f32"] = 87.2,
            // Pieces of eight: 32 bytes of F32 are two accesses, each to half of all sectors.
            ["cast_f32_bf16"] = 40,
            ["cast_bf16_f32"] = 40,
            ["soft_cap_backward_bf16"] = 33.4,
            ["copy_block_bf16"] = 40,
            ["dropout_f32"] = 49.3,
            ["embedding_backward_bf16"] = 32.6,
            ["low_rank_merge_f32_into_bf16"] = 22.1,
            // Left factors: a warp reads four bytes of each of eight rows four times.
            ["low_rank_merge_bf16"] = 8.3,
            // The same for vectors in F32 beside rows in BF16: scales, tables of cosines, sums.
            ["rms_norm_weight_gradient_bf16"] = 2.9,
            ["layer_norm_weight_gradient_bf16"] = 2.8,
            ["bias_gradient_bf16"] = 3,
            ["scale_shift_bf16"] = 1.6,
            ["scale_gradient_bf16"] = 1.6,
            ["rope_forward_bf16"] = 16.7,
            ["rope_backward_bf16"] = 16.7,
            // Rows that end within a sector, and what a warp's last piece leaves.
            ["causal_softmax_forward_f32"] = 0.8,
            ["causal_softmax_forward_bf16"] = 1.6,
            ["causal_softmax_backward_f32"] = 1.1,
            ["causal_softmax_backward_bf16"] = 2,
            ["causal_softmax_forward_capped_f32"] = 0.8,
            ["causal_softmax_forward_capped_bf16"] = 1.6,
            ["causal_softmax_backward_capped_f32"] = 1.25,
            ["causal_softmax_backward_capped_bf16"] = 2.3,
            // A thread reads a key of its own, 16 bytes at a time: the next access takes the other half of each sector.
            ["attention_decode_f32"] = 33.3,
            ["attention_decode_bf16"] = 33.3,
            // One sum for each row, of a warp.
            ["flash_attention_delta"] = 4.5,
            // The four elements of a thread one by one: of a vector along the columns, of dy, of a whole matrix.
            ["broadcast_multiply"] = 50,
            ["random_combination_backward"] = 75,
            ["matrix_copy_f32"] = 75,
            ["matrix_copy_bf16"] = 75,
            // Partial sums of a column lie a column's chunks apart.
            ["broadcast_dot_columns"] = 4.5,
            // Elements that an index or another order of dimensions puts elsewhere.
            ["permute"] = 77.8,
            ["rearrange_forward"] = 70,
            ["rearrange_backward"] = 59.2,
            // Entries of a sparse mask, a hundred elements apart.
            ["entries_gather_f32"] = 70,
            ["entries_gather_bf16"] = 75,
            ["entries_add_f32"] = 77.8,
            ["entries_add_bf16"] = 83.4,
            // A thread walks along its own 256 elements, whose lines stay in L1; the histogram adds to single bins.
            ["largest_entries_count"] = 87.5,
            ["largest_entries_write"] = 86.9,
            ["largest_entries_histogram"] = 1.7,
            // Counts are added to single bins, how many depends on the values; and two lanes walk the sums of both
            // magnitudes.
            ["clip_quantile_count"] = 0.7,
            ["clip_quantile_choose"] = 2.8,
            // A thread has 64 bytes of each row of its tile, 16 bytes at a time: the next access takes the other half
            // of each sector, from L1. Sums of rows are single words.
            ["adafactor_squares_f32"] = 56.8,
            ["adafactor_norm_f32"] = 49.3,
            ["adafactor_update_f32"] = 49.9,
            // One eigenvalue of A for all lanes of a warp.
            ["sylvester_f32"] = 7.7,
            // Columns of row-major matrices that are narrow or small, in L2 as a rule.
            ["matrix_transpose_f32"] = 77.8,
            ["matrix_transpose_bf16"] = 83.4,
            ["matrix_scan_f32"] = 49.5,
            ["matrix_scan_bf16"] = 49.5,
            ["gram_partial"] = 47,
            ["gram_reduce"] = 40,
            ["cholesky_scale"] = 74,
            ["cholesky_finish"] = 80.7,
            ["cholesky_inverse"] = 8,
            ["jacobi_svd"] = 1.2,
            ["sketch_product_nn"] = 62,
            ["sketch_product_nt"] = 9,
            ["sketch_product_tn"] = 45,
            ["svd_truncate"] = 86.3,
            // The eight elements of a thread one by one, while a weight is loaded, and a thread's 256 scales.
            ["quantize_absmax_f32"] = 86.9,
            ["quantize_codes_4_f32"] = 78.9,
            ["quantize_codes_8_f32"] = 82.2,
            ["compress_scales_f32"] = 89.2,
            // Pieces of eight in F32.
            ["dequantize_4_f32"] = 37.7,
            ["quantized_matvec_4_f32"] = 46.1,
            // Values of 8-bit codes are words of a table of 1 KB, in L1; how many sectors depends on the codes.
            ["dequantize_8_f32"] = 64.5,
            ["dequantize_8_bf16"] = 63.7,
            ["quantized_matvec_8_f32"] = 57.5,
            ["quantized_matvec_8_bf16"] = 48.5,
            // A row of a tile is 16 bytes of codes; the next tile takes the other half of the sector. Scales of
            // neighbouring rows lie apart.
            ["low_rank_quantized_4_forward_bf16"] = 32.4,
            ["low_rank_quantized_8_forward_bf16"] = 32.4,
            ["low_rank_quantized_4_input_gradient_bf16"] = 5.1,
            ["low_rank_quantized_8_input_gradient_bf16"] = 19.8,
            // Codes are whole sectors; the scale of 64 codes is a word, whose seven neighbours are of the next tiles.
            ["low_rank_quantized_4_hopper_forward_bf16"] = 43.5,
            ["low_rank_quantized_4_hopper_input_gradient_bf16"] = 24.1,
            // nvcc stores one of eight vectors of the parameter element by element. At once it would take a register
            // more than the 128 that two blocks have, and spill it.
            ["adamw_8bit_f32"] = 7.5,
        };

    /// <summary>Bank conflicts per thousand wavefronts, where there are any.</summary>
    public static IReadOnlyDictionary<string, double> ConflictsPerThousand { get; } =
        new Dictionary<string, double>
        {
            // nvcc splits an eighth of the stores of fragment pairs into words, which two rows then have in one bank.
            ["low_rank_linear_forward_bf16"] = 1.3,
            ["low_rank_linear_input_gradient_bf16"] = 1.3,
            // The same 64 for each tile of y, at shorter sums; codes and their tiles add none.
            ["low_rank_quantized_4_forward_bf16"] = 3.5,
            ["low_rank_quantized_4_input_gradient_bf16"] = 11.8,
            // Values of 8-bit codes are looked up in a table; how many conflict depends on the codes.
            ["low_rank_quantized_8_forward_bf16"] = 281.4,
            ["low_rank_quantized_8_input_gradient_bf16"] = 257,
            // Columns of a matrix of 32 or 33 numbers in F64.
            ["matrix_inverse"] = 1,
            ["matrix_inverse_small"] = 32.8,
            // Its first operand is stored transposed.
            ["sketch_product_tn"] = 104,
            // Lanes count different bins of one bank; how many depends on the values.
            ["largest_entries_histogram"] = 480,
            ["clip_quantile_count"] = 480,
            // The rows of a panel and their transposed half, in F64, by one warp; a matrix that is stored transposed
            // once, and pairs at the ends of a round, which are not next to one another.
            ["cholesky_inverse"] = 93,
            ["jacobi_svd"] = 62,
            // The sums of both magnitudes lie in the same banks.
            ["clip_quantile_choose"] = 167,
        };

    /// <summary>
    /// Most PTX instructions per thousand operations of the contract, of the kernels that do most work.
    /// </summary>
    public static IReadOnlyDictionary<string, double> InstructionsPerThousand { get; } =
        new Dictionary<string, double>
        {
            ["low_rank_linear_forward_bf16"] = 1.36,
            ["low_rank_linear_input_gradient_bf16"] = 1.36,
            ["low_rank_quantized_4_forward_bf16"] = 2.29,
            ["low_rank_quantized_8_forward_bf16"] = 2.33,
            ["low_rank_quantized_4_input_gradient_bf16"] = 2.92,
            ["low_rank_quantized_8_input_gradient_bf16"] = 2.98,
            ["low_rank_quantized_4_hopper_forward_bf16"] = 0.93,
            ["low_rank_quantized_4_hopper_input_gradient_bf16"] = 1.3,
            ["low_rank_linear_hopper_forward_bf16"] = 0.165,
            ["low_rank_linear_hopper_input_gradient_bf16"] = 0.165,
            ["low_rank_merge_bf16"] = 15.3,
            ["flash_attention_forward_128"] = 2.45,
        };

    /// <summary>Bytes moved, of those of the contract, where it is not what the contract says.</summary>
    public static IReadOnlyDictionary<string, double> OfContract { get; } =
        new Dictionary<string, double>
        {
            // It reads again what it has written: a few weights, 0.5 KB.
            ["top_k_select"] = 1.056,
            // The same for the probabilities, which are divided by their sum once all are written.
            ["expert_router_forward_f32"] = 1.5,
            ["expert_router_forward_bf16"] = 1.65,
            // Six arrays of seven: the step that is counted is the first, which has no z to read.
            ["schedule_free_f32"] = 0.857,
        };

    /// <summary>Bytes of local memory, where there are any.</summary>
    public static IReadOnlyDictionary<string, double> LocalBytes { get; } =
        new Dictionary<string, double>
        {
            // One thread keeps a few numbers of a power there.
            ["step_state_advance"] = 96,
        };
}
