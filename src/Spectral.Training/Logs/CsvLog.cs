using System.Globalization;
using System.Text;

namespace Spectral.Training.Logs;

/// <summary>
/// Writes the steps and evaluations of a run as a table of comma-separated values, flushed line by line: a line for
/// each step and one for each evaluation, which has the number of the step that it came after. Values that a line does
/// not have, or that are not finite, are empty.
/// </summary>
/// <remarks>
/// The columns are <c>step, loss, lr, grad_norm, tokens, tokens_per_second, eval_loss, exact_match</c>, with a head,
/// decimal points and line feeds whatever the machine's culture.
/// </remarks>
public sealed class CsvLog : ITrainerCallback, IDisposable
{
    private const string Head = "step,loss,lr,grad_norm,tokens,tokens_per_second,eval_loss,exact_match";

    private readonly StreamWriter _file;

    /// <summary>Starts a new table and replaces an existing one.</summary>
    /// <param name="path">The file to write.</param>
    public CsvLog(string path)
    {
        var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read);
        _file = new StreamWriter(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false))
        {
            AutoFlush = true,
            NewLine = "\n",
        };
        _file.WriteLine(Head);
    }

    /// <inheritdoc/>
    public void OnStep(StepReport report) =>
        _file.WriteLine(
            string.Join(
                ',',
                Whole(report.Step),
                Number(report.Loss),
                Number(report.LearningRate),
                Number(report.GradientNorm),
                Whole(report.Tokens),
                Number(report.TokensPerSecond),
                "",
                ""
            )
        );

    /// <inheritdoc/>
    public void OnEvaluation(int step, EvaluationResult result) =>
        _file.WriteLine(
            string.Join(',', Whole(step), "", "", "", "", "", Number(result.Loss), Number(result.ExactMatch))
        );

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static string Whole(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Number(double? value) =>
        value is { } number && double.IsFinite(number) ? number.ToString("R", CultureInfo.InvariantCulture) : "";
}
